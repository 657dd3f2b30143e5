"""The directory in which the worker processes of one service share their metrics.

This is the multiprocess mode of prometheus_client: each process counts in files of its own, which
have its id in their names, and an answer adds up all files. The counts of workers that have ended
stay in the directory, so that no total falls until many have ended.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from importlib import import_module
from pathlib import Path

SHARED_MEMORY = "/dev/shm"  # nosec B108 # noqa: S108 - the directories made there have unguessable names and are private
FREE_BYTES = 2**20
"""Bytes that must be free in the directory: about the size of three processes' files."""

MAX_LEFT = 40
"""Files of ended workers that may stay: each leaves one of counters and one of histograms."""

DIRECTORY_PREFIX = "overmind-metrics-"
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that prometheus_client reads when it is imported."""


class MetricsDirectory:
    """The shared directory of one service."""

    def __init__(self) -> None:
        self._opened: tuple[int, Path] | None = None

    @property
    def is_open(self) -> bool:
        """Whether this process belongs to a service that shares its metrics."""
        return self._opened is not None

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

    def worker_ended(self, process_id: int, running: Collection[int]) -> None:
        """Drop the gauges of a worker that has ended; its other counts stay.

        Beyond `MAX_LEFT` files, those of all ended workers are removed, and totals fall to those of
        the running ones. A service whose workers crash for ever would fill the memory otherwise.

        Args:
            process_id: the worker that has ended.
            running: the process ids of the running workers.
        """
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(process_id)  # type: ignore[no-untyped-call]  # has no types
        files = Path(os.environ[DIRECTORY_VARIABLE]).glob("*.db")
        left = [file for file in files if int(file.stem.rpartition("_")[2]) not in running]
        if len(left) > MAX_LEFT:
            for file in left:
                file.unlink()


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
