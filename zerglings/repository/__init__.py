"""Zerglings in a store: encoding, decoding, merging rivals, moving long histories into chunks."""
