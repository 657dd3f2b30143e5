"""Simulates a power failure of a file system: data not yet synced may be lost or torn.

A `Recorder` records SQLite's writes and syncs. A `Disk` turns such a record into the files as they
may be after the failure. Neither depends on what is in the files.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512
"""Bytes that a disk writes atomically."""


@dataclass(frozen=True)
class Write:
    """Bytes were written at an offset of a file."""

    name: str
    offset: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    """A file was truncated to this size."""

    name: str
    size: int


@dataclass(frozen=True)
class Sync:
    """A file was synced to disk."""

    name: str


@dataclass(frozen=True)
class Delete:
    """A file was removed."""

    name: str


Step = Write | Truncate | Sync | Delete


class Recorder(apsw.VFS):
    """A SQLite VFS that records the operations on its database and log.

    Operations are recorded in order, by the suffix of the file ("", "-wal", "-journal").
    The shared memory file is not recorded: it does not survive a power cut.
    """

    def __init__(self, name: str, database: Path) -> None:
        self.vfs_name = name
        self.steps: list[Step] = []
        self._database = str(database)
        super().__init__(name, base="unix")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's own name
        """Open a file and record its writes from now on."""
        return _RecordedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's own name
        """Delete a file."""
        super().xDelete(filename, syncdir)
        self.steps.append(Delete(self.role_of(filename)))

    def role_of(self, filename: str) -> str:
        """Return the role of a file, which is the suffix of its name."""
        assert filename.startswith(self._database), filename
        return filename.removeprefix(self._database)


class _RecordedFile(apsw.VFSFile):
    def __init__(self, recorder: Recorder, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._role = recorder.role_of(filename)
        self._steps = recorder.steps

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's own name
        super().xWrite(data, offset)
        self._steps.append(Write(self._role, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's own name
        super().xTruncate(newsize)
        self._steps.append(Truncate(self._role, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's own name
        super().xSync(flags)
        self._steps.append(Sync(self._role))


@dataclass
class _File:
    """A file: its content on disk, and the pending operations."""

    durable: bytearray = field(default_factory=bytearray)
    is_durable: bool = False
    pending: list[Write | Truncate] = field(default_factory=list)

    def sync(self) -> None:
        for step in self.pending:
            _do(self.durable, step)
        self.pending.clear()
        self.is_durable = True

    def after(self, kept: Sequence[Write | Truncate]) -> bytes | None:
        """Return the content after some of the pending operations, None if there is no file."""
        if not self.is_durable and not kept:
            return None
        content = bytearray(self.durable)
        for step in kept:
            _do(content, step)
        return bytes(content)


def _do(content: bytearray, step: Write | Truncate) -> None:
    size = step.size if isinstance(step, Truncate) else step.offset + len(step.data)
    if len(content) < size:
        content.extend(bytes(size - len(content)))
    if isinstance(step, Truncate):
        del content[step.size :]
    else:
        content[step.offset : size] = step.data


class Disk:
    """Replays a record step by step; the power can fail between any two steps."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._files: dict[str, _File] = {}

    def start_with(self, name: str, content: bytes) -> None:
        """Add a file that was on disk before the record began."""
        self._files[name] = _File(bytearray(content), is_durable=True)

    def do(self, step: Step) -> None:
        """Replay the next step of the record.

        A deletion takes effect at once: a lost one leaves files that were tested before it.
        """
        file = self._files.setdefault(step.name, _File())
        if isinstance(step, Sync):
            file.sync()
        elif isinstance(step, Delete):
            del self._files[step.name]
        else:
            file.pending.append(step)

    def cuts(self) -> Iterator[dict[str, bytes]]:
        """Yield possible contents of the files now: minimal, maximal and random ones."""
        chances = [self._none, self._all, self._some, self._some_torn]
        for kept in chances:
            left = {name: file.after(kept(file.pending)) for name, file in self._files.items()}
            yield {name: content for name, content in left.items() if content is not None}

    @staticmethod
    def _none(_: Sequence[Write | Truncate]) -> list[Write | Truncate]:
        return []

    @staticmethod
    def _all(pending: Sequence[Write | Truncate]) -> list[Write | Truncate]:
        return list(pending)

    def _some(self, pending: Sequence[Write | Truncate]) -> list[Write | Truncate]:
        """Choose pending operations at random, as disks write in any order."""
        return [step for step in pending if self._dice.random() < 0.5]

    def _some_torn(self, pending: Sequence[Write | Truncate]) -> list[Write | Truncate]:
        return [self._torn(step) for step in self._some(pending)]

    def _torn(self, step: Write | Truncate) -> Write | Truncate:
        if isinstance(step, Truncate) or len(step.data) <= SECTOR:
            return step
        sectors = self._dice.randrange(1, len(step.data) // SECTOR + 1)
        return Write(step.name, step.offset, step.data[: sectors * SECTOR])


def put(files: dict[str, bytes], database: Path) -> None:
    """Replace the files of a database."""
    for old in database.parent.glob(f"{database.name}*"):
        old.unlink()
    for name, content in files.items():
        Path(f"{database}{name}").write_bytes(content)
