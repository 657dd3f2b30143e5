"""The kinds of store errors that requests may end with."""

from __future__ import annotations

from zerglings.repository.moving import LongHistory
from zerglings.storage.base import Conflict, StoreError, UnknownPosition
from zerglings.storage.couchdb import database as couchdb_database

NEVER_ANSWERED = {StoreError, Conflict, LongHistory, UnknownPosition}
"""Store errors that the hive handles, so that no response results from them."""


def answered_kinds() -> set[type[StoreError]]:
    """Return every kind of store error that a response can result from."""
    kinds = _kinds(StoreError)
    assert couchdb_database.UnreadableAnswer in kinds
    return kinds - NEVER_ANSWERED


def _kinds(kind: type[StoreError]) -> set[type[StoreError]]:
    return {kind}.union(*(_kinds(each) for each in kind.__subclasses__()))
