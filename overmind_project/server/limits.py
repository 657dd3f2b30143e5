"""Time and size limits of a connection. Times are in seconds, sizes in bytes."""

from __future__ import annotations

HEAD_SECONDS = 10.0
"""Time for a request's head: from its first byte, or for the first request from the accept."""

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

BYTES_BEFORE_YIELD = 8 * 1024
"""Bytes of a body after which the greenlet yields to others before each read."""

READ_BYTES = 64 * 1024
"""Bytes of a body that are read at once; gunicorn alone would read a mebibyte ahead."""

RESPONSE_RANK = BODY_RATE.bit_length()
"""The rank at which an unread response waits.

Its connection is dropped before those with a body of which BODY_RATE bytes or more have arrived.
"""

SEND_SECONDS = 30.0
"""Time for which a peer may read nothing of its response; event streams have a shorter limit."""

DRAIN_SECONDS = 2.0
DRAIN_BYTES = 16 * 1024 * 1024
"""How much of a rejected request is read and discarded, so that its sender gets the response."""
