"""The bootstrap step ``replicate``: CouchDB pulls both databases from the other regions."""
