"""Prepares a store from any state. ``runner`` is independent of stores; the steps are not."""
