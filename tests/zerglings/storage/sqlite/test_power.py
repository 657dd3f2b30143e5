"""Tests that the embedded store keeps acknowledged, complete writes after a power failure.

The store's own statements run over a recorded file system, with the SQLite that apsw brings (the
other tests use Python's). The power fails before and after every sync.
"""

from __future__ import annotations

import os
import random
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

import apsw
import pytest

from tests.support.backends import Backend, silent, sqlite_backend
from tests.support.documents import read
from tests.zerglings.storage.sqlite.power import Disk, Recorder, Step, Sync, put
from zerglings.documents import Document
from zerglings.storage.base import NotBootstrapped, Written
from zerglings.storage.bootstrap.plan import sqlite_steps
from zerglings.storage.bootstrap.runner import Run, bring_about
from zerglings.storage.bootstrap.sqlite import FileStep
from zerglings.storage.sqlite.file import SQLiteFile
from zerglings.storage.sqlite.store import SQLiteStore

WRITES = 60
TWINS = 3
"""Number of documents that are always written together."""

EARLY_CHECKPOINTS = 16
"""Pages of the log before a checkpoint, few so that power cuts hit checkpoints."""

SEED = int(os.environ.get("OVERMIND_SEED", "1"))


def connection_of(recorder: Recorder, path: Path, synchronous: str) -> sqlite3.Connection:
    connection = apsw.Connection(str(path), vfs=recorder.vfs_name)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {EARLY_CHECKPOINTS}")
    return cast("sqlite3.Connection", connection)  # what the store uses of both is the same


@contextmanager
def recorded(path: Path) -> Iterator[Recorder]:
    recorder = Recorder(f"recorder-{uuid.uuid4().hex}", path)
    try:
        yield recorder
    finally:
        recorder.unregister()


def own_synchronous(path: Path) -> str:
    """Return the store's `synchronous` setting as SQLite's number."""
    with closing(SQLiteFile(path)) as file:
        return str(file.read(lambda c: c.execute("PRAGMA synchronous").fetchone()[0], 1))


class Writer:
    """Writes three documents at a time, and records at which step each write was acknowledged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.initial = {"": path.read_bytes()}
        self.steps: list[Step] = []
        self.acknowledged: list[tuple[int, int]] = []

    def write(self, monkeypatch: pytest.MonkeyPatch, synchronous: str) -> None:
        with recorded(self.path) as recorder, monkeypatch.context() as patch:
            self.steps = recorder.steps
            patch.setattr(
                SQLiteFile, "_open", lambda _: connection_of(recorder, self.path, synchronous)
            )
            with closing(SQLiteStore(self.path)) as store:
                revisions: list[str | None] = [None] * TWINS
                for number in range(WRITES):
                    written = store.put_many(documents(number, revisions), timeout=5)
                    revisions = [cast("Written", result).revision for result in written]
                    self.acknowledged.append((len(self.steps), number))

    def newest_before(self, step: int) -> int:
        """Return the last number acknowledged within so many steps."""
        return max((number for at, number in self.acknowledged if at <= step), default=-1)


def documents(number: int, revisions: list[str | None]) -> list[Document]:
    """Return the documents of one write: a number, and padding over some pages."""
    twins: list[Document] = []
    for twin, revision in enumerate(revisions):
        document: Document = {"_id": f"twin-{twin}", "n": number, "padding": "x" * (97 * number)}
        twins.append(document | ({"_rev": revision} if revision else {}))
    return twins


def faults_after_cuts(writer: Writer, place: Path) -> tuple[int, list[str]]:
    """Cut the power at every sync; return the number of cuts and the faults."""
    disk = Disk(random.Random(SEED))
    for name, content in writer.initial.items():
        disk.start_with(name, content)
    cuts, faults = 0, []
    for done, step in enumerate(writer.steps):
        if isinstance(step, Sync):
            for is_after in (False, True):
                if is_after:
                    disk.do(step)
                for files in disk.cuts():
                    put(files, place)
                    cuts += 1
                    newest = writer.newest_before(done + is_after)
                    faults += [f"step {done}: {fault}" for fault in faults_of(place, newest)]
        else:
            disk.do(step)
    return cuts, faults


def faults_of(path: Path, newest: int) -> list[str]:
    """Return the faults of a file that must contain at least the last acknowledged write."""
    with closing(sqlite3.connect(path)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        return [verdict]
    with closing(SQLiteStore(path)) as store:
        store.check_ready(timeout=5)
        found = store.get_many([f"twin-{twin}" for twin in range(TWINS)], timeout=5)
        numbers = {leaves[0]["n"] for leaves in found.values()}
    if len(numbers) > 1 or len(found) not in (0, TWINS):
        return [f"written by half: {numbers} in {len(found)}"]
    stored = numbers.pop() if numbers else -1
    return [f"{newest} was acknowledged, {stored} is there"] if stored < newest else []


@pytest.fixture
def writer(sqlite: Backend) -> Writer:
    return Writer(Path(sqlite.environment["OVERMIND_SQLITE_PATH"]))


def test_acknowledged_writes_survive_a_power_cut_at_any_sync(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(monkeypatch, own_synchronous(writer.path))
    (tmp_path / "cut").mkdir()
    cuts, faults = faults_after_cuts(writer, tmp_path / "cut" / "file.sqlite3")
    assert faults == []
    syncs = [step.name for step in writer.steps if isinstance(step, Sync)]
    assert syncs.count("-wal") >= WRITES
    assert syncs.count("") >= 3, "the log was never copied into the database"
    assert cuts > 4 * WRITES


def test_the_check_finds_a_store_that_syncs_too_late(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(monkeypatch, "NORMAL")
    (tmp_path / "cut").mkdir()
    _, faults = faults_after_cuts(writer, tmp_path / "cut" / "file.sqlite3")
    assert any("was acknowledged" in fault for fault in faults)


def test_the_check_finds_a_partly_written_batch(tmp_path: Path) -> None:
    path = Path(sqlite_backend(tmp_path).environment["OVERMIND_SQLITE_PATH"])
    with closing(SQLiteStore(path)) as store:
        store.put_many(documents(0, [None] * TWINS), timeout=5)
        store.put_many([read(store, "twin-0") | {"n": 1}], timeout=5)
    assert faults_of(path, 0) == ["written by half: {0, 1} in 3"]


def test_a_bootstrap_interrupted_by_a_power_cut_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "first" / "o.sqlite3"
    path.parent.mkdir()
    with recorded(path) as recorder, monkeypatch.context() as patch:
        patch.setattr(FileStep, "connect", lambda step, mode: opened(recorder, step.path))
        bring_about(sqlite_steps(path), Run(timeout=5), silent)
    disk = Disk(random.Random(SEED))
    again = tmp_path / "again" / "o.sqlite3"
    again.parent.mkdir()
    cuts = 0
    for step in recorder.steps:
        disk.do(step)
        for files in disk.cuts():
            put(files, again)
            bring_about(sqlite_steps(again), Run(timeout=5), silent)
            assert faults_of(again, -1) == []
            cuts += 1
    assert cuts > 20
    put({}, again)
    with pytest.raises(NotBootstrapped), closing(SQLiteStore(again)) as store:
        store.check_ready(timeout=1)


def test_folders_created_by_bootstrap_are_synced_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    really = os.fsync

    def noted(descriptor: int) -> None:
        really(descriptor)
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", noted)
    bring_about(sqlite_steps(tmp_path / "a" / "b" / "o.sqlite3"), Run(timeout=5), silent)
    assert set(synced) == {str(tmp_path), str(tmp_path / "a")}


def opened(recorder: Recorder, path: Path) -> sqlite3.Connection:
    return cast("sqlite3.Connection", apsw.Connection(str(path), vfs=recorder.vfs_name))
