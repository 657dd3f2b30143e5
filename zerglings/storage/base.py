"""The store contract: what the hive may rely on, whichever backend remembers the zerglings.

A store keeps JSON documents by id, each with a revision that every write changes. It knows nothing
of zerglings. Whatever goes wrong inside a backend leaves it as one of the errors below, no other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
"""A JSON object with its id in ``_id`` and, once stored, its revision in ``_rev``."""

PAGE_LIMIT = 1000
"""Largest number of documents that a page may be asked for."""


class StoreError(Exception):
    """Anything a store call can end with instead of its result. The text never holds a secret."""


class DocumentMissing(StoreError):
    """There is no such document."""


class Conflict(StoreError):
    """The document was not written: its revision is not the current one."""


class StoreUnavailable(StoreError):
    """The store did not do what was asked and nothing was changed."""


class AccountRefused(StoreUnavailable):
    """The store does not accept the configured account, or does not let it do this."""


class NotBootstrapped(StoreUnavailable):
    """The store answers but lacks what ``manage.py bootstrap_couch`` prepares."""


class OutcomeUnknown(StoreError):
    """A write was sent, and no answer tells whether it was carried out."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents in id order; ``after`` is where the next page begins, None on the last."""

    documents: list[Document]
    after: str | None


class Store(ABC):
    """A place that keeps documents. Safe to use from many threads at once.

    Every ``timeout`` is in seconds and bounds each wait of the call: for a connection, for a lock,
    for an answer. Every method raises ``StoreUnavailable`` (or one of its kinds) when the store
    cannot be reached or will not answer; only ``put`` can raise ``OutcomeUnknown``.
    """

    @abstractmethod
    def get(self, document_id: str, *, timeout: float) -> Document:
        """Return the current revision of a document.

        Raises:
            DocumentMissing: there is none under this id.
        """

    @abstractmethod
    def put(self, document: Document, *, timeout: float) -> str:
        """Store a document durably and return its new revision.

        With ``_rev`` the write succeeds only while that is the current revision; without it, only
        while there is no such document. Of several writers with the same ``_rev`` one succeeds.
        Nobody may rely on what happens to a ``_rev`` whose document has gone: CouchDB 1.x takes it.

        Raises:
            Conflict: nothing was written, the revision is not the current one.
            OutcomeUnknown: the answer was lost; read again to learn what happened.
        """

    @abstractmethod
    def page(self, after: str | None, limit: int, *, timeout: float) -> Page:
        """Return up to ``limit`` documents with ids greater than ``after``, in byte order of ids.

        Ids that begin with an underscore are the store's own and are left out; a page may
        therefore hold fewer than ``limit`` documents without being the last.
        """

    @abstractmethod
    def ping(self, *, timeout: float) -> None:
        """Return if the store answers this service, whether its database exists or not."""

    @abstractmethod
    def check_ready(self, *, timeout: float) -> None:
        """Return if documents can be kept.

        Raises:
            NotBootstrapped: the store answers but is not prepared; the text says what is missing.
        """

    @abstractmethod
    def close(self) -> None:
        """Release connections and files. The store is not used afterwards."""
