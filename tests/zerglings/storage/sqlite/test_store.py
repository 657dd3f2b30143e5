"""Tests for the embedded store's behaviour beyond the store contract."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.documents import leaves, read, write
from tests.support.site import Lines
from zerglings.storage.base import NotBootstrapped, StoreUnavailable
from zerglings.storage.bootstrap.plan import sqlite_steps
from zerglings.storage.bootstrap.runner import (
    BootstrapError,
    Misconfigured,
    Run,
    TimedOut,
    bring_about,
)
from zerglings.storage.sqlite.file import APPLICATION_ID, SQLiteFile, check_writable
from zerglings.storage.sqlite.store import SQLiteStore


@pytest.fixture
def path(sqlite: Backend) -> Path:
    return Path(sqlite.environment["OVERMIND_SQLITE_PATH"])


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(path)
    yield store
    store.close()


def bootstrap(path: Path, timeout: float = 5) -> list[str]:
    """Bootstrap a file and return the report."""
    lines = Lines()
    bring_about(sqlite_steps(path), Run(timeout=timeout), lines)
    return lines


def test_a_missing_file_is_not_created_by_store_calls(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "none.sqlite3")
    with pytest.raises(NotBootstrapped):
        store.ping(timeout=1)
    with pytest.raises(NotBootstrapped, match="bootstrap_couch"):
        store.put_many([{"_id": "a"}], timeout=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"this is no database" * 100])
def test_a_file_that_is_not_a_database_is_not_ready(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    store = SQLiteStore(path)
    with pytest.raises(NotBootstrapped):
        store.check_ready(timeout=1)
    store.close()


def test_a_failed_open_leaks_no_file_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(b"this is no database" * 100)
    store = SQLiteStore(path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(NotBootstrapped):
            store.check_ready(timeout=1)
    assert len(os.listdir("/proc/self/fd")) <= before
    store.close()


def test_a_connection_in_use_during_close_is_closed_when_returned(path: Path) -> None:
    file = SQLiteFile(path)

    def work(connection: sqlite3.Connection) -> sqlite3.Connection:
        file.close()
        return connection

    lent = file.read(work, timeout=1)
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        lent.execute("SELECT 1")


def test_a_read_only_database_is_detected(store: SQLiteStore, path: Path) -> None:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as ro:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            check_writable(ro)
        assert ro.in_transaction is False
    store.check_ready(timeout=1)
    assert store.page(None, 9, timeout=1).documents == []


def test_a_damaged_row_is_returned_as_a_document_without_content(
    store: SQLiteStore, path: Path
) -> None:
    store.put_many([{"_id": "a", "n": 1}], timeout=1)
    other = sqlite3.connect(path)
    other.execute("UPDATE documents SET body = x'7b'")
    other.commit()
    other.close()
    assert [set(d) for d in store.page(None, 9, timeout=1).documents] == [{"_id", "_rev"}]


def test_a_file_removed_under_the_service_is_noticed(store: SQLiteStore, path: Path) -> None:
    store.put_many([{"_id": "a"}], timeout=1)
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()
    with pytest.raises(NotBootstrapped):
        store.put_many([{"_id": "b"}], timeout=1)
    bootstrap(path, timeout=5)
    store.put_many([{"_id": "b"}], timeout=1)
    assert [d["_id"] for d in store.page(None, 9, timeout=1).documents] == ["b"]


def test_waiting_for_a_lock_of_another_process_ends_at_the_timeout(
    store: SQLiteStore, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
        store.put_many([{"_id": "a"}], timeout=0.1)
    other.execute("ROLLBACK")
    other.close()
    store.put_many([{"_id": "a"}], timeout=0.1)


def test_waiting_for_a_writer_of_this_process_ends_at_the_timeout(
    store: SQLiteStore, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(store.put_many, [{"_id": "a"}], timeout=1)
        while not store._file._writing.locked():
            assert not first.done()
        with pytest.raises(StoreUnavailable, match="too many writers"):
            store.put_many([{"_id": "b"}], timeout=0.05)
        assert isinstance(first.exception(), StoreUnavailable)
    other.close()


def test_a_newer_schema_is_not_ready_and_is_not_changed(store: SQLiteStore, path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(NotBootstrapped, match="version 99"):
        store.check_ready(timeout=1)
    with pytest.raises(BootstrapError, match="version 99"):
        bootstrap(path, timeout=1)


def test_writes_are_synced_before_they_are_acknowledged(store: SQLiteStore) -> None:
    with store._file._connection() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_document_stored_again_continues_its_generations(store: SQLiteStore) -> None:
    first = write(store, {"_id": "a"})
    assert write(store, {"_id": "a", "_rev": first, "_deleted": True}).startswith("2-")
    assert write(store, {"_id": "a"}).startswith("3-")


def test_there_are_no_deleted_leaves_to_forget(store: SQLiteStore) -> None:
    write(store, {"_id": "a", "_rev": write(store, {"_id": "a"}), "_deleted": True})
    assert store.forget_deleted_leaves(["a"], timeout=1) == 0
    assert leaves(store, "a") == []


def test_a_bulk_write_is_atomic(store: SQLiteStore, path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute(
        "CREATE TRIGGER full BEFORE INSERT ON documents WHEN NEW.id = 'b' "
        "BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    other.commit()
    other.close()
    with pytest.raises(StoreUnavailable):
        store.put_many([{"_id": "a"}, {"_id": "b"}], timeout=1)
    assert store.get_many(["a", "b"], timeout=1) == {}
    write(store, {"_id": "a"})


def made_by_an_earlier_version(path: Path) -> None:
    """Remove the tables that an earlier version did not have."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE history")
        other.execute("DROP TABLE changes")
        for trigger in ("documents_insert", "documents_update"):
            other.execute(f"DROP TRIGGER {trigger}")


def test_a_file_of_an_earlier_version_is_upgraded_without_data_loss(
    store: SQLiteStore, path: Path
) -> None:
    write(store, {"_id": "a", "n": 1})
    made_by_an_earlier_version(path)
    with pytest.raises(NotBootstrapped, match="bootstrap_couch"):
        store.check_ready(timeout=1)
    assert read(store, "a")["n"] == 1
    assert bootstrap(path)[0] == f"database changed prepared {path}"
    assert bootstrap(path) == ["database ok ok", "verify ok ok"]
    store.check_ready(timeout=1)
    write(store.history, {"_id": "a", "n": 2})
    assert read(store, "a")["n"] == 1
    start = store.changes(None, 10, timeout=1)
    write(store, {"_id": "b"})
    assert store.changes(start.position, 10, timeout=1).ids == ["b"]


def test_a_file_of_an_earlier_version_can_be_upgraded_concurrently(path: Path) -> None:
    made_by_an_earlier_version(path)
    barrier = threading.Barrier(8)

    def run(_: int) -> list[str]:
        barrier.wait()
        return bootstrap(path)

    with ThreadPoolExecutor(8) as pool:
        for lines in pool.map(run, range(8)):
            assert lines[-2:] == ["database ok ok", "verify ok ok"]


def test_a_file_with_newer_tables_is_writable_for_an_earlier_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (1,)
        other.execute("INSERT INTO documents (id, revision, body) VALUES ('a', '1-a', '{}')")


def test_bootstrap_creates_folder_and_file_once(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.sqlite3"
    assert bootstrap(path) == [
        f"database changed prepared {path}",
        "database ok ok",
        "verify ok ok",
    ]
    before = path.stat().st_mtime_ns
    assert bootstrap(path) == ["database ok ok", "verify ok ok"]
    assert path.stat().st_mtime_ns == before
    with closing(SQLiteStore(path)) as store:
        assert store.page(None, 9, timeout=1).documents == []


@pytest.mark.parametrize("content", [b"this is no database" * 100])
def test_bootstrap_refuses_a_file_that_is_not_a_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(Misconfigured, match="OVERMIND_SQLITE_PATH"):
        bootstrap(path, timeout=1)
    assert path.read_bytes() == content


def test_bootstrap_refuses_the_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite3"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    with pytest.raises(Misconfigured, match="belongs to another program"):
        bootstrap(path, timeout=1)
    assert other.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID
    other.close()


def test_bootstrap_reports_why_a_folder_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BootstrapError, match="cannot read"):
        bootstrap(tmp_path / "file" / "x.sqlite3", timeout=1)


def test_bootstrap_waits_for_a_lock_until_its_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zerglings.storage.bootstrap.sqlite.LOCK_TIMEOUT", 0.05)
    path = tmp_path / "new.sqlite3"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA journal_mode = WAL")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(TimedOut, match="locked"):
        bootstrap(path, timeout=0.3)
    holder.execute("ROLLBACK")
    holder.close()
    bootstrap(path, timeout=5)
