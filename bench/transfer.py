"""``python -m bench.transfer [ZERGLINGS]``: measure export and import, and compare the results.

1. Fill an embedded store, with 100,000 zerglings by default. Each has 10 commands; one in 100 has
   1,000, one in 10,000 has 20,000; one in 50 is dead.
2. Export it, and import the file into another embedded store.
3. With STORE_URL=http://admin:password@host:port, import it into CouchDB, export that, and compare
   the two files byte by byte.

After each import, every document is read directly from the store and compared with the source,
except for revisions. Databases and files are removed at the end.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from filecmp import cmp
from itertools import zip_longest
from pathlib import Path
from urllib.parse import quote

import orjson

from bench.documents import random_id
from bench.errors import BenchError
from bench.service import FOREIGN
from bench.stores import HISTORY, CouchDB, Embedded
from zerglings.documents import Document
from zerglings.domain.chunks import Chunk, shorten
from zerglings.domain.document_format import encode
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.storage.base import Store, StoreError
from zerglings.storage.sqlite.store import SQLiteStore

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_ZERGLINGS = 100_000
TAIL = 100
WALK = "MRML"
SHORT, LONG, LONGEST = 10, 1_000, 20_000
EVERY_LONG, EVERY_LONGEST, EVERY_DEAD = 100, 10_000, 50
BATCH = 1_000
STORE_TIMEOUT = 60.0
DOCUMENTS_PER_READ = 100
"""Documents per request of the comparison. Few, because the peak memory reported for a management
command includes that of this process, from which it was forked."""

TABLES = ("documents", "history")


def main() -> int:
    """Run all steps and print a line for each; return 0 if all documents were equal."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ZERGLINGS
    prefix = f"overmind-bench-{secrets.token_hex(4)}"
    try:
        with tempfile.TemporaryDirectory(prefix=prefix) as directory:
            _measure(count, prefix, Path(directory))
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    return 0


def _measure(count: int, prefix: str, directory: Path) -> None:
    embedded = Embedded(directory)
    source = embedded.environment("source")
    copy = embedded.environment("copy")
    file = directory / "source.jsonl"
    _manage("bootstrap_couch", environment=source)
    zerglings, chunks = fill(Path(source["OVERMIND_SQLITE_PATH"]), count)
    _say(f"source: {zerglings} zerglings, {chunks} parts of histories")
    _manage("export_zerglings", str(file), environment=source)
    _say(f"the file has {file.stat().st_size / 2**20:.0f} MiB")
    _manage("import_zerglings", "--check", str(file), environment=source)
    _manage("bootstrap_couch", environment=copy)
    _manage("import_zerglings", str(file), environment=copy)
    for table in TABLES:
        _compare(table, _of_file(source, table), _of_file(copy, table))
    if url := os.environ.get("STORE_URL"):
        _measure_couchdb(CouchDB(url), prefix, source, file)


def _measure_couchdb(store: CouchDB, database: str, source: Mapping[str, str], file: Path) -> None:
    again = file.with_name("again.jsonl")
    environment = store.environment(database)
    try:
        _manage("bootstrap_couch", environment=environment)
        _manage("import_zerglings", str(file), environment=environment)
        for table, name in zip(TABLES, (database, database + HISTORY), strict=True):
            _compare(table, _of_file(source, table), _of_couchdb(store, name))
        _manage("import_zerglings", str(file), environment=environment)
        _manage("export_zerglings", str(again), environment=environment)
    finally:
        store.drop(database)
    if not cmp(file, again, shallow=False):
        raise BenchError("the export of the import is another file")
    _say("the export of the import is the same file, byte by byte")


def fill(path: Path, count: int) -> tuple[int, int]:
    """Write zerglings to the file of an embedded store.

    Args:
        path: the file of a bootstrapped store.
        count: number of zerglings.

    Returns:
        The number of zerglings and the number of history chunks.

    Raises:
        BenchError: the store refused a document.
    """
    store = SQLiteStore(path)
    zerglings: list[Document] = []
    parts = 0
    with closing(store):
        for number in range(count):
            zergling, chunks = _numbered_zergling(number)
            _put(store.history, [chunk.encode() for chunk in chunks])
            zerglings.append(encode(zergling))
            parts += len(chunks)
            if len(zerglings) == BATCH or number == count - 1:
                _put(store, zerglings)
                zerglings = []
    return count, parts


def _numbered_zergling(number: int) -> tuple[Zergling, list[Chunk]]:
    commands = LONG if number % EVERY_LONG == 0 else SHORT
    commands = LONGEST if number % EVERY_LONGEST == 0 else commands
    zergling = Zergling.spawned(str(uuid.uuid4()), Pose(number, -number))
    requests = [CommandRequest(random_id(), (WALK[n % len(WALK)],)) for n in range(commands)]
    zergling, chunks = shorten(zergling.merged_with(requests), TAIL)
    if number % EVERY_DEAD == 1:
        zergling = zergling.apply(CommandRequest.death(time.time()))
    return zergling, chunks


def _put(store: Store, documents: list[Document]) -> None:
    for result in store.put_many(documents, timeout=STORE_TIMEOUT) if documents else ():
        if isinstance(result, StoreError):
            raise BenchError("the embedded store refused a document") from result


def _manage(*arguments: str, environment: Mapping[str, str]) -> None:
    """Run a management command; print its output, duration and peak resident memory."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    began = time.monotonic()
    running = subprocess.Popen(  # nosec B603 # noqa: S603 - no shell, and no untrusted input
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=ours | dict(environment),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None  # nosec B101 # noqa: S101 - for the type checker
    with running.stdout:
        said = running.stdout.read().strip()
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise BenchError(f"{arguments[0]} failed")
    if arguments[0] != "bootstrap_couch":
        seconds, peak = time.monotonic() - began, usage.ru_maxrss / 1024
        _say(f"{arguments[0]}: {seconds:.1f} s, peak {peak:.0f} MiB: {said}")


def _compare(what: str, ours: Iterator[Document], theirs: Iterator[Document]) -> None:
    count = 0
    for one, other in zip_longest(ours, theirs):
        if one != other:
            raise BenchError(f"{what}: {one and one['_id']} and {other and other['_id']} differ")
        count += 1
    _say(f"{what}: {count} compared, all equal")


def _of_file(environment: Mapping[str, str], table: str) -> Iterator[Document]:
    with closing(sqlite3.connect(environment["OVERMIND_SQLITE_PATH"])) as connection:
        query = f"SELECT id, body FROM {table} ORDER BY id"  # nosec B608 # noqa: S608 - one of TABLES
        for id_, body in connection.execute(query):
            yield {"_id": id_, **orjson.loads(body)}


def _of_couchdb(store: CouchDB, database: str) -> Iterator[Document]:
    start = ""
    while True:
        key = quote(orjson.dumps(start).decode())
        path = f"{database}/_all_docs?include_docs=true&limit={DOCUMENTS_PER_READ}&startkey={key}"
        rows = store.ask("GET", path)["rows"]
        for row in rows:
            if row["id"] != start:
                yield {name: value for name, value in row["doc"].items() if name != "_rev"}
        if len(rows) < DOCUMENTS_PER_READ:
            return
        start = rows[-1]["id"]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
