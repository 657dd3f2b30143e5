"""The event stream: server-sent events about every change to a zergling."""
