"""The baseline: a plain service for comparison, written with Django, DRF and pycouchdb only."""
