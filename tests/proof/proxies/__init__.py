"""The service behind real proxies, those that are installed on this machine."""
