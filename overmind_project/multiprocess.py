"""The directory in which the worker processes of one service share their metrics.

Each worker writes its own files, which are named after its slot: the lowest number that no other
running worker has. A replacement worker takes over the slot and the counts of its predecessor, so
that no count is lost and the number of files stays constant. Only gunicorn's hooks assign slots;
code that defines metrics does not depend on them.
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

SHARED_MEMORY = "/dev/shm"  # nosec B108 # noqa: S108 - the directories made there have unguessable names and are private
FREE_BYTES = 2**20
"""Bytes that must be free in the directory: about the size of three processes' files."""

DIRECTORY_PREFIX = "overmind-metrics-"
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that prometheus_client reads when it is imported."""


class MetricsDirectory:
    """The shared directory of one service, and the slot of each worker."""

    def __init__(self) -> None:
        self._opened: tuple[int, Path] | None = None
        self.slots: dict[int, int] = {}
        """The slot of each running worker, by the number that gunicorn gives it (`Worker.age`)."""
        self.has_slot = False
        """Whether this process is a worker whose metrics are shared."""

    def open(self) -> None:
        """Create a new private directory, in memory where possible.

        The directory is locked, and the workers inherit the lock. Directories without a lock
        were left by a killed service and are removed.

        Raises:
            OSError: no directory has enough free space.
        """
        directory = shared_directory()
        for each in {directory, SHARED_MEMORY}:
            _remove_abandoned(Path(each))
        self._opened = _new_locked(directory)
        os.environ[DIRECTORY_VARIABLE] = str(self._opened[1])
        # Import it before the fork: a worker handles no signals until its imports are done.
        import_module("prometheus_client.multiprocess")

    def close(self) -> None:
        """Remove the directory, if there is one, when the service has stopped."""
        if self._opened is not None:
            lock, path = self._opened
            self._opened = None
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)

    def take_slot(self, worker: int) -> None:
        """Assign the lowest free slot to a worker before it starts."""
        taken = self.slots.values()
        self.slots[worker] = next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def use_slot(self, worker: int) -> None:
        """Make this process, a new worker, count in the files of its slot.

        Call it before anything is counted. By default, prometheus_client names the files by the
        process id.
        """
        from prometheus_client import values  # reads DIRECTORY_VARIABLE when it is imported

        slot = self.slots[worker]
        values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # has no types
        self.has_slot = True

    def release_slot(self, worker: int) -> None:
        """Free the slot of a worker that has ended, and drop its gauges; its counters stay."""
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(self.slots.pop(worker))  # type: ignore[no-untyped-call]  # has no types


METRICS_DIRECTORY = MetricsDirectory()
"""The directory of this process's service."""


def shared_directory() -> str:
    """Return a directory for files that the processes share, in memory where possible.

    Raises:
        OSError: no directory has enough free space.
    """
    if _has_room(SHARED_MEMORY):
        return SHARED_MEMORY
    directory = tempfile.gettempdir()
    if _has_room(directory):
        return directory
    raise OSError(errno.ENOSPC, f"not enough free space in {SHARED_MEMORY} or {directory}")


def _has_room(directory: str) -> bool:
    """Return whether a file can be created and filled there.

    The metrics are written through a memory map; if that finds no free space, the kernel kills
    the process.
    """
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(FREE_BYTES))
    except OSError:
        return False
    return True


def _new_locked(directory: str) -> tuple[int, Path]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX, dir=directory))
        # Another start of the service may remove the directory before it is locked.
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


def _remove_abandoned(directory: Path) -> None:
    for path in directory.glob(f"{DIRECTORY_PREFIX}*"):
        with suppress(OSError):  # in use, owned by another user, or removed meanwhile
            lock = _locked(path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
