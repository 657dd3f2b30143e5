"""The use cases: spawn, command, read and delete zerglings. Knows nothing of HTTP."""
