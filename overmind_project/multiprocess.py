"""Where the processes of one service keep their metrics together, so that any can show them all.

Each worker writes files of its own, named after its seat: the lowest number that no living worker
has. A successor takes over the seat, and with it the counts of the one that died, so nothing that
was counted is lost and the files do not grow in number. Only gunicorn's main process and what it
calls on the way to a worker belong here; whoever counts knows nothing of it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path

SHARED_MEMORY = "/dev/shm"  # nosec B108 # noqa: S108 - directories there get unguessable names and are private
ROOM = 2**20
"""Bytes that must be free: the files of three processes take about so many."""

PREFIX = "overmind-metrics-"
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""What prometheus_client looks at when it is imported."""


class SharedCounts:
    """The directory of one service, and who counts in which of its files."""

    def __init__(self) -> None:
        self._opened: tuple[int, Path] | None = None
        self.slots: dict[int, int] = {}
        """Of each living worker, by a number of its own."""
        self.has_slot = False
        """Whether this process is a worker that counts together with others."""

    def open(self) -> None:
        """Make a new private directory, in memory where possible.

        A lock on it, which the workers inherit, tells the living from what a killed service left
        behind; the latter is removed.

        Raises:
            OSError: there is no place to write to.
        """
        place = shared_place()
        for each in {place, SHARED_MEMORY}:
            _remove_abandoned(Path(each))
        self._opened = _new_locked(place)
        os.environ[VARIABLE] = str(self._opened[1])
        # Once for all workers, which cannot be told to stop before they have come further.
        import_module("prometheus_client.multiprocess")

    def close(self) -> None:
        """Remove the directory, if there is one, when the service has stopped."""
        if self._opened is not None:
            lock, path = self._opened
            self._opened = None
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)

    def take_slot(self, worker: int) -> None:
        """Give a worker a seat before it is started."""
        taken = self.slots.values()
        self.slots[worker] = next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def occupy_slot(self, worker: int) -> None:
        """Have this process, a new worker, count in the files of its seat.

        It comes before anything is counted. The library asks for a number at each step, by default
        for the process id.
        """
        from prometheus_client import values  # looks at VARIABLE when it is imported

        slot = self.slots[worker]
        values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # has no types
        self.has_slot = True

    def leave(self, worker: int) -> None:
        """Forget what a worker that has ended had under way; what it counted stays."""
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(self.slots.pop(worker))  # type: ignore[no-untyped-call]  # has no types


SHARED = SharedCounts()
"""Those of this process's service."""


def shared_place() -> str:
    """Return where this service's processes may share files: in memory where possible.

    Raises:
        OSError: there is no place to write to.
    """
    if _has_room(SHARED_MEMORY):
        return SHARED_MEMORY
    place = tempfile.gettempdir()
    if _has_room(place):
        return place
    raise OSError(errno.ENOSPC, f"there is no room in {SHARED_MEMORY} or {place}")


def _has_room(place: str) -> bool:
    """Whether files can be made there, and filled: what is counted is written through a mapping.

    Where a page of that finds no room, the system ends the process.
    """
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(ROOM))
    except OSError:
        return False
    return True


def _new_locked(place: str) -> tuple[int, Path]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        # Another start may take it for abandoned before it is locked.
        with suppress(FileNotFoundError, BlockingIOError):
            lock = _locked(path)
            if path.exists():
                return lock, path
            os.close(lock)


def _locked(path: Path) -> int:
    lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def _remove_abandoned(place: Path) -> None:
    for path in place.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is in use, somebody else's, or gone by now
            lock = _locked(path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
