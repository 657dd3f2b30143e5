"""Zerglings, their histories and their documents: functions and immutable values, without I/O."""
