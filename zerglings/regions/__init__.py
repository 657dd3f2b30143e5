"""Regions: writes the heartbeat of this one, and shows how far it is behind the others."""
