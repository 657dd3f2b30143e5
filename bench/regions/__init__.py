"""Regions that replicate both ways: a rig, and measurements on it."""
