"""``python -m bench.drill [ZERGLINGS]``: back up under load, lose the store, and restore it.

1. Fill a store with the zerglings of ``bench.transfer``, 20,000 by default.
2. Move some of them continuously, and export meanwhile.
3. Destroy the store: its file, or both of its databases.
4. Bootstrap, import and compare. Everything acknowledged before the export began must be there.

The service runs all the time. The embedded store is drilled once more with SQLite's online backup,
which needs no bootstrap. STORE_URL=http://admin:password@host:port selects CouchDB instead.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from bench.errors import BenchError
from bench.plan import ROOT
from bench.service import Server, manage, overmind
from bench.stores import Benched, CouchDB, Embedded
from bench.transfer import fill

DEFAULT_ZERGLINGS = 20_000
MOVERS = 8
MOVED_EACH = 25
"""Zerglings that each client moves; no two clients share one."""

WARM_UP = 1.0
"""Seconds of load before the backup begins."""

LIMIT = 3600.0
"""Timeout of a management command, in seconds."""

BACK_LIMIT = 30.0
"""Seconds within which the service must answer again after the restore."""

LOOK_EVERY = 0.02
OK = 200


@dataclass
class Life:
    """A zergling: its commands before the drill, and the acknowledged ones since, with times."""

    id: str
    past: list[str]
    acknowledged: list[tuple[float, str]] = field(default_factory=list)

    def before(self, moment: float) -> int:
        """Return the number of commands acknowledged before ``moment``, including ``past``."""
        return len(self.past) + sum(at < moment for at, _ in self.acknowledged)

    def has_kept(self, history: list[str], moment: float) -> bool:
        """Whether a history has all commands before ``moment``, and then only sent commands."""
        sent = self.past + [word for _, word in self.acknowledged]
        return len(history) >= self.before(moment) and history == sent[: len(history)]


@dataclass
class Drill:
    """A store, its service, and the seconds that each step took."""

    store: Benched
    name: str
    server: Server
    directory: Path
    steps: list[tuple[str, float]] = field(default_factory=list)

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables that select the store."""
        return self.store.environment(self.name)

    def step(self, what: str, do: Callable[[], object]) -> None:
        """Call ``do``, and record its duration under the name ``what``."""
        began = time.monotonic()
        do()
        self.steps.append((what, time.monotonic() - began))
        sys.stderr.write(f"{what}: {self.steps[-1][1]:.2f} s\n")

    def manage(self, *arguments: str) -> str:
        """Run a management command on the store; return its output."""
        return manage(*arguments, environment=self.environment, limit=LIMIT)


def main() -> int:
    """Run the drill, and print a table for each way of backup; return 0 if nothing was lost."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_ZERGLINGS
    try:
        with tempfile.TemporaryDirectory(prefix="overmind-drill-") as directory:
            return _drill_all(Path(directory), count)
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1


def _drill_all(directory: Path, count: int) -> int:
    source = Embedded(directory).environment("source")
    manage("bootstrap_couch", environment=source)
    zerglings, chunks = fill(Path(source["OVERMIND_SQLITE_PATH"]), count)
    sys.stdout.write(f"{zerglings} zerglings, {chunks} parts of histories\n")
    contents = directory / "contents.jsonl"
    manage("export_zerglings", str(contents), environment=source, limit=LIMIT)
    url = os.environ.get("STORE_URL", "").rstrip("/")
    store: Benched = CouchDB(url) if url else Embedded(directory)
    lost = _drill(store, contents, "export", _by_export)
    if not url:
        lost += _drill(store, contents, "SQLite's online backup", _by_file)
    return 1 if lost else 0


Step = tuple[str, Callable[[], object]]
Way = tuple[Callable[[], object], list[Step]]
"""A function that takes the backup, and the steps that restore it."""


def _drill(store: Benched, contents: Path, what: str, way: Callable[[Drill], Way]) -> int:
    """Back up and restore once; return the number of zerglings that lost something."""
    name = f"overmind-bench-{secrets.token_hex(4)}"
    with overmind(store, name, ROOT) as server:
        drill = Drill(store, name, server, contents.parent)
        drill.manage("import_zerglings", str(contents))
        back_up, steps = way(drill)
        lives = _some(server)
        with _moving(server, lives):
            time.sleep(WARM_UP)
            began = time.monotonic()
            drill.step(f"back up under load ({what})", back_up)
            until = time.monotonic()
        moved = sum(began <= at < until for life in lives for at, _ in life.acknowledged)
        listed = _listed(server)
        drill.step("destroy the store", partial(store.drop, name))
        gone = time.monotonic()
        for what_next, do in steps:
            drill.step(what_next, do)
        drill.step("the service answers again", partial(_wait_for, server, lives[0]))
        back = time.monotonic() - gone
        lost = [life for life in lives if not life.has_kept(_history(server, life.id), began)]
        found = _listed(server)
        moved_ids = {life.id for life in lives}
        missing = [
            id_
            for id_, seen in listed.items()
            if id_ not in found or (id_ not in moved_ids and found[id_] != seen)
        ]
    _report(drill, back, moved, len(lives), len(lost) + len(missing))
    return len(lost) + len(missing)


def _by_export(drill: Drill) -> Way:
    file = str(drill.directory / f"{drill.name}.jsonl")
    back_up = partial(drill.manage, "export_zerglings", file)
    return back_up, [
        ("bootstrap", partial(drill.manage, "bootstrap_couch")),
        ("check the file", partial(drill.manage, "import_zerglings", "--check", file)),
        ("restore", partial(drill.manage, "import_zerglings", file)),
    ]


def _by_file(drill: Drill) -> Way:
    """Use SQLite's online backup, which copies a consistent state while others write.

    The restore ends with a rename, so that the service never opens an incomplete file.
    """
    path = Path(drill.environment["OVERMIND_SQLITE_PATH"])
    copy = drill.directory / f"{drill.name}.sqlite3"

    def back_up() -> None:
        with closing(sqlite3.connect(path)) as ours, closing(sqlite3.connect(copy)) as theirs:
            ours.backup(theirs)

    def restore() -> None:
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(copy, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    return back_up, [("restore", restore)]


@contextmanager
def _moving(server: Server, lives: list[Life]) -> Iterator[None]:
    """Run clients that move their own zerglings continuously during the block."""
    over = threading.Event()

    def move(own: list[Life]) -> None:
        with closing(server.connect()) as connection:
            while not over.is_set():
                life, word = random.choice(own), random.choice("MLR")
                connection.request("POST", f"/zerglings/{life.id}", word)
                response = connection.getresponse()
                response.read()
                if response.status != OK:
                    raise BenchError(f"a move was answered {response.status}")
                life.acknowledged.append((time.monotonic(), word))

    with ThreadPoolExecutor(MOVERS) as pool:
        moving = [pool.submit(move, lives[number::MOVERS]) for number in range(MOVERS)]
        try:
            yield
        finally:
            over.set()
        for each in moving:
            each.result()


def _some(server: Server) -> list[Life]:
    """Return a random sample of the living zerglings."""
    living = list(_listed(server))
    chosen = random.sample(living, min(len(living), MOVERS * MOVED_EACH))
    return [Life(id_, _history(server, id_)) for id_ in chosen]


def _listed(server: Server) -> dict[str, Any]:
    """Return the list's entry of each zergling, by id."""
    return {seen["id"]: seen for seen in _get(server, "/zerglings/")["zerglings"]}


def _history(server: Server, zergling_id: str) -> list[str]:
    words: list[str] = _get(server, f"/zerglings/{zergling_id}/history")["commandHistory"]
    return words


def _get(server: Server, path: str) -> Any:  # noqa: ANN401 - any JSON
    with closing(server.connect()) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    if response.status != OK:
        raise BenchError(f"GET {path} was answered {response.status}")
    return orjson.loads(body)


def _wait_for(server: Server, life: Life) -> None:
    end = time.monotonic() + BACK_LIMIT
    while True:
        try:
            _get(server, f"/zerglings/{life.id}")
        except BenchError:
            if time.monotonic() > end:
                raise
            time.sleep(LOOK_EVERY)
        else:
            return


def _report(drill: Drill, back: float, moved: int, lives: int, lost: int) -> None:
    lines = [f"\n{drill.store.name}\n", "| step | seconds |", "|---|---|"]
    lines += [f"| {what} | {seconds:.1f} |" for what, seconds in drill.steps]
    lines += [f"| in all, from the loss on | {back:.1f} |", ""]
    lines += [f"{moved} moves were acknowledged while the backup was taken; {lives} zerglings "]
    lines[-1] += f"compared, {lost} of them or of the others lost anything from before it."
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as for Ctrl-C
    sys.exit(main())
