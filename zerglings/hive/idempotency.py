"""The idempotency keys of whole-swarm calls: which call was made under which.

What such a call does is recognised item by item, as every change is. A key is noted here so that it
cannot be used for another call. Beside the older parts of histories, as it is no zergling.
"""

from __future__ import annotations

import time
from hashlib import sha256

from zerglings.documents import Document
from zerglings.hive.mutations import KeyReused
from zerglings.repository.retry_budget import RetryBudget
from zerglings.storage.base import Conflict, OutcomeUnknown, Store, StoreError
from zerglings.storage.base import StoreUnavailable as Unavailable

PREFIX = "key:"
"""What the ids of all notes begin with."""


class KeyRegister:
    """Notes keys for ever. Safe to use from many threads at once.

    Args:
        store: where the notes are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def claim(self, key: str, call: bytes) -> None:
        """Note that a call is made under a key, unless it is noted already.

        Raises:
            KeyReused: another call was made under it.
            StoreUnavailable: that cannot be found out.
        """
        note = {"_id": f"{PREFIX}{_digest(key.encode())}", "call": _digest(call)}
        budget = RetryBudget()
        while True:
            began = time.monotonic()
            try:
                return self._note(note, budget.call_timeout)
            except StoreError as error:
                if (end := budget.end_of(error, time.monotonic() - began)) is not None:
                    raise Unavailable(f"the key could not be noted: {end}") from error
            time.sleep(budget.next_pause())

    def _note(self, note: Document, timeout: float) -> None:
        (result,) = self._store.put_many([note], timeout=timeout)
        if isinstance(result, Conflict):
            leaves = self._store.get_many([note["_id"]], timeout=timeout).get(note["_id"])
            if not leaves:
                raise result
            if leaves[0].get("call") != note["call"]:
                raise KeyReused
        elif isinstance(result, StoreError):
            raise result
        elif result.is_minority:
            raise OutcomeUnknown("only a minority of the store's copies has the key")


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
