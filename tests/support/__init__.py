"""Helpers that tests of more than one folder share; a helper of one test stands next to it."""
