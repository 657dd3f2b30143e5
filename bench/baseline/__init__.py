"""The same service written the obvious way, for comparison: Django, DRF and pycouchdb only."""
