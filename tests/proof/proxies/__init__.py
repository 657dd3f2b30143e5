"""What proxies and caches make of the service; a proxy that is not installed skips its tests."""
