"""Ports for servers that are stopped and started again. Knows nothing of what listens on them."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

LOWEST = 15_000
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
FIRST_EPHEMERAL = 32_768
"""Linux's own choice, where it does not tell."""


def free_port() -> int:
    """Return a port that nobody listens on now.

    The system gives it to no outgoing connection, which would have it while the server is away.
    """
    end = int(RANGE.read_text().split()[0]) if RANGE.exists() else FIRST_EPHEMERAL
    while True:
        port = random.randrange(LOWEST, max(end, LOWEST + 1000))
        with socket.socket() as probe, suppress(OSError):  # somebody has it
            probe.bind(("127.0.0.1", port))
            return port
