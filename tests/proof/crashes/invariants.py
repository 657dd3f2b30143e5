"""Invariants that hold in a store at any moment, under load and in a copy of its files."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.proof.load.ledger import Fate, Ledger, Life, Sent, named
from tests.proof.load.verdict import whole_history, without_late_repeats
from tests.support.documents import SOON
from zerglings.documents import Document
from zerglings.domain.document_format import NotAZergling, decode
from zerglings.domain.pose import replay
from zerglings.storage.base import Store

PAGE = 100


@dataclass(frozen=True)
class Known:
    """What clients know at a moment: zerglings, sent requests and acknowledgements."""

    lives: Sequence[Life]
    sent: Mapping[str, Sequence[Sent]]
    acknowledged: Collection[str]

    @classmethod
    def of(cls, ledger: Ledger) -> Known:
        """Copy the ledger under its lock; later entries do not change the copy."""
        acknowledged = {one.name for one in ledger.sent if one.fate is Fate.ACKNOWLEDGED}
        return cls(list(ledger.lives), ledger.by_life(), acknowledged)


def faults_of(store: Store, known: Known) -> list[str]:
    """Return the faults of the known zerglings: each must replay and be complete."""
    faults: list[str] = []
    documents = _documents(store, [life.id for life in known.lives])
    for life in known.lives:
        found = documents.get(life.id)
        faults += _faults_of_life(store, life, found, known) if found else [f"{life.id} is gone"]
    return faults


def _documents(store: Store, ids: Sequence[str]) -> dict[str, Document]:
    documents: dict[str, Document] = {}
    for start in range(0, len(ids), PAGE):
        for id_, leaves in store.get_many(ids[start : start + PAGE], timeout=SOON).items():
            documents |= {id_: leaves[0]} if leaves else {}
    return documents


def _faults_of_life(store: Store, life: Life, document: Document, known: Known) -> Iterator[str]:
    try:
        zergling = decode(document)
    except NotAZergling as error:
        yield f"{life.id} is no zergling: {error}"
        return
    history = list(whole_history(store, zergling))
    words = [word for request in history for word in request.words]
    if zergling.spawn != life.spawn or zergling.command_count != len(words):
        yield f"{life.id} has another past: {zergling.spawn}, {len(words)} words"
    if replay(life.spawn, words) != zergling.pose:
        yield f"{life.id} is elsewhere"
    found = named(list(without_late_repeats(history)), known.sent[life.id])
    counts = Counter(name for name, _ in found)
    yield from (f"{id_} of {life.id} counts {n} times" for id_, n in counts.items() if n > 1)
    by_name = {name: request.words for name, request in found}
    for sent in known.sent[life.id]:
        stored = by_name.get(sent.name)
        if stored is None and sent.name in known.acknowledged:
            yield f"{sent.name} of {life.id} is lost"
        if stored not in (None, sent.request.words):
            yield f"{sent.name} of {life.id} is there in part"


def faults_of_file(path: Path) -> list[str]:
    """Return the faults that SQLite finds in a file."""
    with closing(sqlite3.connect(path, timeout=SOON)) as connection:
        try:
            lines = [str(line) for (line,) in connection.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
    return [] if lines == ["ok"] else lines
