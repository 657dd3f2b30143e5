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
"""Ports reserved for one process; with Linux's defaults there are blocks for 207 processes."""

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
FIRST_EPHEMERAL = 32_768
"""Linux's default, used if the system gives no range or one that leaves no free ports."""


class NoPorts(RuntimeError):
    """All ports are in use."""


def free_port() -> int:
    """Return a loopback port that nothing listens on now.

    No other test process gets the same port, and the system does not use it for outgoing
    connections while the server is stopped. A port is returned again only after ``BLOCK`` others.

    Raises:
        NoPorts: if all ports are in use.
    """
    for port in islice(_ports(), BLOCK):
        with socket.socket() as probe, suppress(OSError):  # in use by something else
            # A port with connections in TIME_WAIT is free: servers can listen on it too.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise NoPorts("something listens on every port of this process")


@cache
def _ports() -> Iterator[int]:
    """Return an endless cycle of the ports in the first block that no other process has locked."""
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
    """Lock a block until this process ends; return False if another process has it."""
    path = Path(tempfile.gettempdir()) / f"overmind-test-ports-{os.getuid()}-{first}"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    return True  # the descriptor stays open, which keeps the lock
