"""The register of bulk requests' idempotency keys: which request used which key.

Each item of a bulk request is recognised by its own request id. The register only rejects
keys that were used for a different request. Its records are in the history store: in the main
database, the original service would treat them as zerglings.

Regions that are apart may use a key for different requests. Their records become rivals, and each
of these requests may be repeated. A merged record has a digest of each, separated by spaces.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from hashlib import sha256

from zerglings.documents import MERGED, Document
from zerglings.hive.mutations import KeyReused
from zerglings.repository.retry_budget import RetryBudget
from zerglings.storage.base import (
    Conflict,
    OutcomeUnknown,
    Store,
    StoreError,
    StoreUnavailable,
)

PREFIX = "key:"
"""The prefix of all records' ids."""


class KeyRegister:
    """Records idempotency keys permanently. Thread-safe.

    Args:
        store: holds the records.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def claim(self, key: str, request: bytes) -> None:
        """Record that a key is used for a request. A repeated claim for the same request succeeds.

        Args:
            key: the client's idempotency key.
            request: a fingerprint of the request.

        Raises:
            KeyReused: the key was used for another request.
            StoreUnavailable: the store failed.
        """
        record = {"_id": f"{PREFIX}{_digest(key.encode())}", "call": _digest(request)}
        budget = RetryBudget()
        while True:
            began = time.monotonic()
            try:
                return self._store_record(record, budget.call_timeout)
            except StoreError as error:
                if (end := budget.record_failure(error, time.monotonic() - began)) is not None:
                    raise StoreUnavailable(
                        f"could not record the idempotency key: {end}"
                    ) from error
            time.sleep(budget.next_pause())

    def merge(self, record_ids: Collection[str], *, timeout: float) -> int:
        """Merge the rivals of records, and return how many records had some.

        Raises:
            StoreError: the store failed. Some records may be merged.
        """
        found = self._store.get_many(record_ids, timeout=timeout)
        rivals = [leaves for leaves in found.values() if len(leaves) > 1]
        for winner, *losers in rivals:
            merged = winner | {"call": " ".join(sorted(_calls([winner, *losers])))}
            tombstones = [
                {"_id": loser["_id"], "_rev": loser["_rev"], "_deleted": True, MERGED: True}
                for loser in losers
            ]
            self._replace(merged, tombstones, timeout)
        return len(rivals)

    def _replace(self, merged: Document, losers: Sequence[Document], timeout: float) -> None:
        """Store a merged record, and delete the losers once a majority has it."""
        for document in (merged, *losers):
            (result,) = self._store.put_many([document], timeout=timeout)
            if isinstance(result, Conflict):
                return  # another process merges them
            if isinstance(result, StoreError):
                raise result
            if result.is_minority:
                return

    def _store_record(self, record: Document, timeout: float) -> None:
        (result,) = self._store.put_many([record], timeout=timeout)
        if isinstance(result, Conflict):
            leaves = self._store.get_many([record["_id"]], timeout=timeout).get(record["_id"])
            if not leaves:
                raise result
            if record["call"] not in _calls(leaves):
                raise KeyReused
        elif isinstance(result, StoreError):
            raise result
        elif result.is_minority:
            raise OutcomeUnknown("only a minority of the store's copies has the key")


def _calls(leaves: Sequence[Document]) -> set[str]:
    """Return the digests of the requests that used a key."""
    return {call for leaf in leaves for call in str(leaf.get("call")).split()}


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
