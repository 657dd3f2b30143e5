"""Reads and writes single documents through a store's batch interface."""

from __future__ import annotations

from zerglings.documents import Document
from zerglings.storage.base import Store, StoreError

SOON = 5.0
"""Timeout in seconds for a call to a healthy store."""


def leaves(store: Store, document_id: str, *, all_copies: bool = False) -> list[Document] | None:
    """Return the leaves of a document that are not deleted, or None if it was never stored."""
    return store.get_many([document_id], timeout=SOON, all_copies=all_copies).get(document_id)


def read(store: Store, document_id: str) -> Document:
    """Return the current revision of a document; fail if there is none."""
    found = leaves(store, document_id)
    assert found, f"there is no {document_id}"
    return found[0]


def write(store: Store, document: Document) -> str:
    """Store a document and return its new revision; raise the store's error if it fails."""
    (result,) = store.put_many([document], timeout=SOON)
    if isinstance(result, StoreError):
        raise result
    return result.revision
