"""Zerglings, their histories and their documents: pure values and functions, without I/O."""
