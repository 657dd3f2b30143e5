"""Prepares a store from any state. ``runner`` supports every store; a step supports one."""
