"""The store contract: what the hive may rely on, whichever backend remembers the zerglings.

A store keeps JSON documents by id, each with a revision that every write changes. It knows nothing
of zerglings. Whatever goes wrong inside a backend leaves it as one of the errors below, no other.

A CouchDB cluster can accept rival revisions of one document; each is then a leaf of its tree of
revisions, and lives until it is deleted by its exact revision. The store shows them and settles
nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from zerglings.documents import Document

PAGE_LIMIT = 1000
"""Largest number of documents that a page may be asked for."""


class StoreError(Exception):
    """Anything a store call can end with instead of its result. The text never holds a secret."""


class Conflict(StoreError):
    """The document was not written: its revision is not the current one."""


class StoreUnavailable(StoreError):
    """The store did not do what was asked and nothing was changed."""


class AccountRefused(StoreUnavailable):
    """The store does not accept the configured account, or does not let it do this."""


class NotBootstrapped(StoreUnavailable):
    """The store answers but lacks what ``manage.py bootstrap_couch`` prepares."""


class TooLarge(StoreUnavailable):
    """The store takes nothing as large as what it was given; nothing of it was written.

    ``document_id`` is the document that is too large, if the store has told.
    """

    def __init__(self, text: str, document_id: str | None = None) -> None:
        super().__init__(text)
        self.document_id = document_id


class CopiesBehind(StoreUnavailable):
    """Some copies lack documents, so a list may lack them too; what it told is not to be used."""


class NotAsked(StoreUnavailable):
    """The store was spared the call: it answers nobody at present, or too many wait for it."""


class UnknownPosition(StoreError):
    """The store has no such place in the order of its changes, or has it no more."""


class OutcomeUnknown(StoreError):
    """A write was sent, and no answer tells whether it was carried out."""


class WriteFailed(OutcomeUnknown):
    """The store answered that a write failed, which does not rule out that some copy has it."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a document that was stored, under its new revision.

    ``is_minority`` says that only a minority of a cluster's copies has it so far (CouchDB's 202,
    ``accepted``), so that a rival may have been accepted elsewhere and a usual read may miss it.
    """

    revision: str
    is_minority: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents in the order of their ids.

    ``after`` is where the next page begins, None on the last.
    """

    documents: list[Document]
    after: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of documents that were changed or deleted, each once, and the place to go on from."""

    ids: list[str]
    position: str


class Store(ABC):
    """A place that keeps documents. Safe to use from many threads at once.

    Every ``timeout`` is in seconds and bounds each wait of the call: for a connection, for a lock,
    for an answer. Every method raises ``StoreUnavailable`` (or one of its kinds) when the store
    cannot be reached or will not answer; only ``put_many`` can raise ``OutcomeUnknown``.
    """

    @property
    @abstractmethod
    def history(self) -> Store:
        """The store beside this one, for the older parts of histories."""

    @abstractmethod
    def get_many(
        self, document_ids: Collection[str], *, timeout: float, all_copies: bool = False
    ) -> dict[str, list[Document]]:
        """Return the living leaves of each document, the current revision first.

        More than one leaf are rivals. An empty list: the document was deleted. An id that is not
        in the result was never stored. A usual read asks a majority of a cluster's copies; with
        ``all_copies`` every copy that answers is asked, which costs more.
        """

    @abstractmethod
    def put_many(
        self, documents: Sequence[Document], *, timeout: float
    ) -> list[Written | StoreError]:
        """Store documents durably and return what became of each, in the same order.

        No id may be given twice. With ``_rev`` a write succeeds only while that is a living leaf;
        without it, only while there is no living document of that id. A document that is
        ``{"_id", "_rev", "_deleted": True}`` deletes that leaf. Of several writers with the same
        ``_rev`` one succeeds, on one node. The documents are written independently of each other:
        a refused one changes nothing for the rest.

        The errors in the result: ``Conflict`` (not written, the revision is not a living leaf),
        ``TooLarge`` (not written, however often it is tried), ``StoreUnavailable`` (not written),
        ``OutcomeUnknown`` (perhaps written). Nobody may rely
        on what happens to a ``_rev`` whose document has gone: CouchDB 1.x takes it, and so does
        3.4 where the document never was and others are.

        Raises:
            OutcomeUnknown: the answer was lost; read again to learn what became of each.
        """

    @abstractmethod
    def page(
        self,
        after: str | None,
        limit: int,
        *,
        timeout: float,
        until: str | None = None,
        descending: bool = False,
    ) -> Page:
        """Return up to ``limit`` documents with ids greater than ``after``, in byte order of ids.

        Descending, the ids are less than ``after`` and come from the greatest down. ``until`` is
        the bound at the other end, not itself included. Of rivals the current revision is shown.
        Ids that begin with an underscore are the store's own and are left out; a page may
        therefore hold fewer than ``limit`` documents without being the last.
        """

    @abstractmethod
    def changes(
        self, since: str | None, limit: int, *, timeout: float, wait: float = 0.0
    ) -> Changes:
        """Return which documents were changed after a position.

        Args:
            since: a position that an earlier answer gave; None for now, after all that was changed.
            limit: ids to return at most; fewer mean that there were no more.
            timeout: seconds to wait for the answer, beyond ``wait``.
            wait: seconds to wait for a change while there is none.

        They come in the order of their last changes, which a store of several shards keeps for each
        shard only. So a document shows once however often it was changed; yet the same change may
        be shown twice, and on a cluster a little late.

        Raises:
            UnknownPosition: the store cannot tell what was changed after ``since``. A ``history``
                may say so of any position.
        """

    @abstractmethod
    def forget_deleted_leaves(self, document_ids: Collection[str], *, timeout: float) -> int:
        """Purge the deleted leaves beside living ones; return how many there were.

        They are what settled rivals leave behind; CouchDB carries them along for ever, at a price
        in every read and write. A document without a living leaf stays deleted. Needs the rights
        of a server admin.
        """

    @abstractmethod
    def is_whole(self, *, timeout: float) -> bool:
        """Whether all nodes that hold copies are connected. Needs the rights of a server admin."""

    @abstractmethod
    def ping(self, *, timeout: float) -> None:
        """Return if the store answers this service, whether its database exists or not."""

    @abstractmethod
    def check_ready(self, *, timeout: float) -> None:
        """Return if documents can be kept.

        Raises:
            NotBootstrapped: the store answers but is not prepared; the text says what is missing.
        """

    def lacking(self, *, timeout: float) -> int | None:
        """Return how many documents some copies lack which others hold; None if there is but one.

        A page, and the changes, are read from one copy, which may lack them: of a node that was
        replaced by an empty one. What is on its way to a copy is waited for, a second at most, and
        ``timeout`` bounds the whole. A node that is away, or out of service, is asked for nothing
        and so lacks nothing.
        """
        return None

    def check_copies(self, *, timeout: float) -> None:
        """Return if no copy lacks documents, so that pages just read were whole.

        Raises:
            CopiesBehind: some do.
        """
        if lacking := self.lacking(timeout=timeout):
            raise CopiesBehind(
                f"a copy in CouchDB lacks {lacking} documents that another one holds, so that "
                "lists may be short"
            )

    def identity(self, *, timeout: float) -> str | None:
        """Return what tells this store from one that takes its place, None if nothing does.

        Raises:
            StoreUnavailable: it cannot be found out at present.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Release connections and files, also those of ``history``. It is not used afterwards."""
