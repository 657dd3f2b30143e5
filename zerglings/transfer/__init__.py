"""Zerglings with their histories out of one store and into another, by way of a file."""
