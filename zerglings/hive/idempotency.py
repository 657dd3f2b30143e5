"""The register of bulk requests' idempotency keys: which request used which key.

Each item of a bulk request is recognised by its own request id. The register only rejects
keys that were used for a different request. Its records are in the history store: in the main
database, the original service would treat them as zerglings.
"""

from __future__ import annotations

import time
from hashlib import sha256

from zerglings.documents import Document
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

    def _store_record(self, record: Document, timeout: float) -> None:
        (result,) = self._store.put_many([record], timeout=timeout)
        if isinstance(result, Conflict):
            leaves = self._store.get_many([record["_id"]], timeout=timeout).get(record["_id"])
            if not leaves:
                raise result
            # Two regions that were apart may have used the key for different requests.
            if record["call"] not in [leaf.get("call") for leaf in leaves]:
                raise KeyReused
        elif isinstance(result, StoreError):
            raise result
        elif result.is_minority:
            raise OutcomeUnknown("only a minority of the store's copies has the key")


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
