"""Ports for servers that a test stops and starts again."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import cycle, islice
from pathlib import Path

LOWEST = 12_000
BLOCK = 100
"""Ports that a process has for itself; on Linux as it comes, 207 processes can have a block."""

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
FIRST_EPHEMERAL = 32_768
"""Linux's own choice, for a system that does not tell, or leaves no port to listen on."""


class NoPorts(RuntimeError):
    """All ports are in use."""


def free_port() -> int:
    """Return a loopback port that nothing listens on now.

    No other process that runs these tests gets the same one, and the system does not use it for an
    outgoing connection while the server is away. A port comes up again only after ``BLOCK`` others.

    Raises:
        NoPorts: all are in use.
    """
    for port in islice(_ports(), BLOCK):
        with socket.socket() as probe, suppress(OSError):  # in use by something else
            # A port whose last connections are still remembered is free: servers take it too.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise NoPorts("something listens on every port of this process")


@cache
def _ports() -> Iterator[int]:
    """Return the ports of the first block that no other process has locked, round and round."""
    end = _end()
    for first in range(LOWEST, end - BLOCK, BLOCK):
        if _is_ours(first):
            return cycle(range(first, first + BLOCK))
    raise NoPorts(f"all ports from {LOWEST} to {end} are taken by other test processes")


def _end() -> int:
    """Return the first port that the system uses for outgoing connections."""
    end = int(RANGE.read_text().split()[0]) if RANGE.exists() else FIRST_EPHEMERAL
    return end if end > LOWEST + BLOCK else FIRST_EPHEMERAL


def _is_ours(first: int) -> bool:
    """Lock a block until this process ends; False where another process has it."""
    path = Path(tempfile.gettempdir()) / f"overmind-test-ports-{os.getuid()}-{first}"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    return True  # the descriptor stays open, and with it the lock
