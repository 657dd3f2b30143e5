"""Server-sent events: what happens to zerglings, told to every listener."""
