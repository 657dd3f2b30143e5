"""Zerglings: domain rules, storage, use cases, HTTP API and event feed."""
