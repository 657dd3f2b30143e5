"""The use cases: spawn, command, read and delete zerglings. Independent of HTTP."""
