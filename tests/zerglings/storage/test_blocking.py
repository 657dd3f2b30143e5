"""Tests that a blocked call to the embedded store does not block other greenlets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.backends import Backend
from tests.support.service import ROOT

BEGINNING = """
from gevent import monkey
monkey.patch_all()
import sqlite3, sys, time
from pathlib import Path
import gevent
from tests.support.documents import leaves, read, write
from zerglings.storage.base import Conflict, StoreUnavailable
from zerglings.storage.sqlite.store import SQLiteStore
path = Path(sys.argv[1])
store = SQLiteStore(path)
"""


def run(sqlite: Backend, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process with gevent's monkey patches."""
    return subprocess.run(
        [sys.executable, "-c", BEGINNING + program, sqlite.environment["OVERMIND_SQLITE_PATH"]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_many_greenlets_read_and_write(sqlite: Backend) -> None:
    done = run(
        sqlite,
        """
def work(n):
    document = {"_id": str(n), "_rev": write(store, {"_id": str(n)})}
    for i in range(20):
        document["_rev"] = write(store, document | {"n": i})
    return read(store, str(n))["n"]
jobs = [gevent.spawn(work, n) for n in range(30)]
gevent.joinall(jobs, raise_error=True)
assert [job.value for job in jobs] == [19] * 30
store.close()
""",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_writer_that_waits_for_another_process_does_not_block_readers(sqlite: Backend) -> None:
    done = run(
        sqlite,
        """
write(store, {"_id": "a"})
holder = sqlite3.connect(path, isolation_level=None)
holder.execute("BEGIN IMMEDIATE")
writers = [gevent.spawn(store.put_many, [{"_id": str(n)}], timeout=5) for n in range(30)]
gevent.sleep(0.1)
began = time.monotonic()
for _ in range(20):
    assert leaves(store, "a")
took = time.monotonic() - began
assert not any(writer.ready() for writer in writers)
assert took < 2, took
holder.execute("COMMIT")
gevent.joinall(writers, raise_error=True)
assert len(store.page(None, 99, timeout=1).documents) == 31
holder.close()
store.close()
""",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_errors_are_raised_in_the_calling_greenlet(sqlite: Backend) -> None:
    done = run(
        sqlite,
        """
holder = sqlite3.connect(path, isolation_level=None)
holder.execute("BEGIN IMMEDIATE")
try:
    store.put_many([{"_id": "a"}], timeout=0.1)
except StoreUnavailable as error:
    assert "SQLITE_BUSY" in str(error)
else:
    raise AssertionError
holder.close()
write(store, {"_id": "a"})
store.close()
""",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_call_runs_in_its_own_thread_without_gevent(sqlite: Backend) -> None:
    program = """
import threading
from zerglings.storage.blocking import run_blocking
assert run_blocking(threading.get_ident) == threading.get_ident()
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


def test_a_store_can_be_closed_after_its_history(sqlite: Backend) -> None:
    store = sqlite.open()
    store.ping(timeout=1)
    store.history.close()
    store.close()
    assert not list(Path(sqlite.environment["OVERMIND_SQLITE_PATH"]).parent.glob("*-wal"))
