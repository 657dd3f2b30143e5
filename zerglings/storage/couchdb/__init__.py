"""The store over Apache CouchDB. Knows nothing of zerglings."""
