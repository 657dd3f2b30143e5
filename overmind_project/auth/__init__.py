"""Tokens: which are valid, what a request presents, and what is answered without a valid one."""
