"""The service behind a real nginx; skipped where none is installed."""
