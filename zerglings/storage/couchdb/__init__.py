"""The store over Apache CouchDB. It does not interpret the content of documents."""
