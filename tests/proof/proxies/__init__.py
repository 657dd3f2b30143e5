"""Tests with real proxies and caches; a test is skipped if its proxy is not installed."""
