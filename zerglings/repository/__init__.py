"""Zerglings in a store: documents to domain objects and back, with rivals merged and long
histories moved into chunks.
"""
