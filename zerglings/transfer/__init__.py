"""Export of a store's zerglings and histories to a file, and import into another store."""
