"""Fills a store with zerglings in every stored form: new, keyed, chunked, dead, original."""

from __future__ import annotations

import uuid

from tests.support.documents import SOON, write
from zerglings.documents import Document
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest
from zerglings.hive.hive import Hive
from zerglings.hive.idempotency import KeyRegister
from zerglings.storage.base import Store

TAIL = 10


def populate(store: Store) -> list[str]:
    """Store zerglings of every kind; return their ids."""
    hive = Hive(store, tail=TAIL)
    new = hive.spawn(Pose(3, -4, "W"))
    keyed = hive.spawn(Pose(), "a key")
    hive.command(keyed.id, CommandRequest.command("MMRM", "another key"))
    old = hive.spawn(Pose(7, 7, "S"))
    for _ in range(30):
        hive.command(old.id, CommandRequest.command("MRM"))
    dead = hive.spawn(Pose())
    for _ in range(25):
        hive.command(dead.id, CommandRequest.command("M"))
    hive.kill(dead.id)
    KeyRegister(store.history).claim("the key of a swarm", b"its call")
    plain = of_the_original(["M", "jump", "R", "M"])
    write(store, plain)
    return sorted([new.id, keyed.id, old.id, dead.id, plain["_id"]])


def of_the_original(history: list[str]) -> Document:
    """Return a document as the original service writes it, at location (5, 6)."""
    id_ = str(uuid.uuid4())
    return {
        "_id": id_,
        "id": id_,
        "location": {"x": 5, "y": 6},
        "facing": "E",
        "commandHistory": history,
    }


def everything(store: Store) -> dict[str, Document]:
    """Return all documents of a store and of its history, without their revisions."""
    return {
        document["_id"]: {name: value for name, value in document.items() if name != "_rev"}
        for each in (store, store.history)
        for document in each.page(None, 1000, timeout=SOON).documents
    }
