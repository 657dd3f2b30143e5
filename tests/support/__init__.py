"""What the tests run against: a CouchDB-protocol peer and a proxy that fails on demand."""
