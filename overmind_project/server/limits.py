"""Time and size limits of a connection. Times are in seconds, sizes in bytes."""

from __future__ import annotations

HEAD_SECONDS = 10.0
"""Time for a request's head: from its first byte, or for the first request from the accept."""

MAX_LINE_BYTES = 8190
"""Maximum size of a request line, and of a header field with its line end.

An event position of a large cluster takes thousands of bytes.
"""

MAX_FIELDS = 100
"""Maximum number of header fields, and of trailer fields."""

MAX_HEAD_BYTES = 64 * 1024
"""Maximum size of a request's head, all fields together."""

BODY_SECONDS = 10.0
BODY_RATE = 4096
"""A body may take BODY_SECONDS, and one second more for each BODY_RATE bytes received."""

LONG_BODY = 64 * 1024
LONG_BODY_RATE = 128 * 1024
"""Beyond LONG_BODY, one second more for each LONG_BODY_RATE bytes; 2 MiB may take 42 seconds."""

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Bytes beyond this are the framing of chunks, and do not extend the deadline."""

MAX_FRAMED_BYTES = 2 * MAX_BODY_BYTES
"""Maximum size of a body with its framing: every chunk costs time to parse."""

READ_BYTES = 64 * 1024
"""Bytes that are read from a connection at once."""

CHUNKED_BYTES = 4 * 1024
"""Bytes of a chunked body that are parsed at once: their framing may take a millisecond."""

SEND_SECONDS = 30.0
"""Time for which a peer may read nothing of its response; event streams have a shorter limit."""

DRAIN_SECONDS = 2.0
DRAIN_BYTES = 16 * 1024 * 1024
"""How much of a rejected request is read and discarded, so that its sender gets the response."""

LINGER_SECONDS = 1.0
"""Time for which a connection waits for its next request while the process stops."""
