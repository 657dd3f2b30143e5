"""Prepares a store from any state. ``runner`` works with any store; each step with one."""
