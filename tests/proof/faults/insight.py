"""Counts a running service's greenlets and store connections, and overrides its name resolution."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.support.service import Service, workers
from tests.support.waiting import wait_until

HOOK = Path(__file__).parent / "hook"
DEADLINE = 5.0
CONNECTED, CONNECTING = "01", "02"


class Insight:
    """Queries to a service's processes through files in a directory; see `hook`."""

    def __init__(self, directory: Path) -> None:
        self._place = directory
        self._place.mkdir(exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the service needs."""
        return {"PYTHONPATH": str(HOOK), "OVERMIND_TEST_HOOK": str(self._place)}

    def resolve(self, hosts: Mapping[str, str]) -> None:
        """Make names resolve to addresses from now on, or `hang`."""
        new = self._place / "hosts.new"
        new.write_text("".join(f"{name} {address}\n" for name, address in hosts.items()))
        new.rename(self._place / "hosts")

    def greenlets(self, service: Service) -> int:
        """Return how many greenlets all workers have."""
        ids = workers(service)
        ask = self._place / "ask"
        ask.touch()
        try:
            return sum(self._answer(self._place / str(id_)) for id_ in ids)
        finally:
            ask.unlink()
            for id_ in ids:
                (self._place / str(id_)).unlink(missing_ok=True)

    def _answer(self, path: Path) -> int:
        wait_until(path.exists, "a worker has counted its greenlets", DEADLINE)
        return int(path.read_text())


def connections(service: Service, port: int) -> int:
    """Return how many connections to a port the workers have or are opening."""
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        is_there = int(fields[2].rpartition(":")[2], 16) == port
        if is_there and fields[3] in (CONNECTED, CONNECTING):
            inodes.add(f"socket:[{fields[9]}]")
    return sum(link in inodes for id_ in workers(service) for link in _links(id_))


def _links(process_id: int) -> list[str]:
    links = []
    for path in Path(f"/proc/{process_id}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            links.append(os.readlink(path))
    return links
