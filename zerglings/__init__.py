"""Zerglings: their rules, the hive that commands them, the stores that remember them, and HTTP."""
