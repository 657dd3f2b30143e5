"""Tests that concurrent test processes never get the same port."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ports
from tests.support.manage import python
from tests.support.ports import BLOCK, LOWEST, free_port

PRINT_ALL = "from tests.support.ports import *; print(*(free_port() for _ in range(BLOCK)))"


@pytest.fixture
def ours() -> set[int]:
    """Half of the ports in this process's block."""
    return {free_port() for _ in range(BLOCK // 2)}


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Make the test choose its block of ports again, and forget it afterwards."""
    ports._ports.cache_clear()
    yield
    ports._ports.cache_clear()


def test_another_process_gets_other_ports(ours: set[int]) -> None:
    done = python("-c", PRINT_ALL)
    theirs = {int(port) for port in done.stdout.split()}
    assert theirs, done.stderr
    assert theirs.isdisjoint(ours)


def test_a_port_in_use_is_skipped() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        taken = server.getsockname()[1]
        assert taken not in {free_port() for _ in range(BLOCK)}


@pytest.mark.parametrize("system", ["32768\t60999\n", "1024\t65535\n", "10000\t65535\n"])
@pytest.mark.usefixtures("forgotten")
def test_ports_are_found_for_every_ephemeral_range(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "ip_local_port_range"
    place.write_text(system)
    monkeypatch.setattr(ports, "RANGE", place)
    assert LOWEST <= free_port() < ports.FIRST_EPHEMERAL
