"""The store contract: what callers may rely on with every backend.

A store keeps JSON documents by id. Every write gives a document a new revision. The store does not
interpret the content, and every failure of a backend is raised as one of the errors below.

A CouchDB cluster can accept conflicting revisions (rivals) of one document. Each is a leaf of the
document's revision tree and stays until it is deleted by its exact revision. The store returns all
of them; callers merge them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from zerglings.documents import Document

PAGE_LIMIT = 1000
"""Maximum ``limit`` of ``Store.page``."""


class StoreError(Exception):
    """Base class of all store errors. Messages never contain a password or a URL."""


class Conflict(StoreError):
    """The document was not written: the given revision is not current."""


class StoreUnavailable(StoreError):
    """The call failed and nothing was changed."""


class AccountRefused(StoreUnavailable):
    """The store rejects the configured account, or the account lacks a permission."""


class NotBootstrapped(StoreUnavailable):
    """The store answers, but ``manage.py bootstrap_couch`` has not prepared it."""


class TooLarge(StoreUnavailable):
    """A document or request exceeds the store's size limit; nothing of it was written.

    ``document_id`` is the oversized document if the store names it, else None.
    """

    def __init__(self, text: str, document_id: str | None = None) -> None:
        super().__init__(text)
        self.document_id = document_id


class CopiesBehind(StoreUnavailable):
    """Some copies lack documents, so a list that was just read may be incomplete: do not use it."""


class CallRejected(StoreUnavailable):
    """The store was not called: the circuit breaker is open, or too many calls are queued."""


class UnknownPosition(StoreError):
    """The position in the order of changes is invalid or no longer known."""


class OutcomeUnknown(StoreError):
    """A write was sent but its answer was lost, so it may have been carried out."""


class WriteFailed(OutcomeUnknown):
    """The store reported that a write failed, but some copy may hold it."""


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a successful write.

    ``is_minority`` is true if only a minority of a cluster's copies has stored the revision so far
    (CouchDB's 202 with ``accepted``). Another node may then accept a conflicting revision, and a
    normal read may miss this one.
    """

    revision: str
    is_minority: bool = False


class MergedAway(list[Document]):
    """The empty list for a document whose leaves were all deleted with ``MERGED``.

    The leaf that holds their content has not arrived yet: replication may deliver the leaves of a
    document one by one. ``Store.last_states`` returns what the document held here before.
    """


@dataclass(frozen=True, slots=True)
class Page:
    """One page of documents in id order.

    ``after`` is the argument that gets the next page, None on the last page.
    """

    documents: list[Document]
    after: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of changed or deleted documents, each once, and the position to continue from."""

    ids: list[str]
    position: str


class Store(ABC):
    """A document store. Its methods may be called from many threads at once.

    Every ``timeout`` is in seconds. It limits each wait inside a call separately: for a connection,
    for a lock, for an answer. Every method raises ``StoreUnavailable`` or a subclass of it when the
    store cannot be reached or does not answer; only ``put_many`` can raise ``OutcomeUnknown``.
    """

    @property
    @abstractmethod
    def history(self) -> Store:
        """The companion store for the older parts of histories."""

    @abstractmethod
    def get_many(
        self, document_ids: Collection[str], *, timeout: float, all_copies: bool = False
    ) -> dict[str, list[Document]]:
        """Return, for each document, the leaves that are not deleted, the current revision first.

        More than one leaf means that there are conflicting revisions. An empty list means that the
        document was deleted, or ``MergedAway``. Ids that were never stored are absent from the
        result. A normal read asks a majority of a cluster's copies. ``all_copies`` asks every copy
        that answers, which costs more.
        """

    def last_states(self, document_id: str, *, timeout: float) -> list[Document]:
        """Return what a ``MergedAway`` document held in this store, the highest-ranked first.

        For each deleted leaf that is its newest ancestor that the store still has, if any. Do not
        write with their revisions: they are no leaves. If a leaf that is not deleted has arrived,
        the result is that of ``get_many``.

        Only replication between regions makes such documents, so other stores have none.
        ``timeout`` limits the whole call.
        """
        return []

    @abstractmethod
    def put_many(
        self, documents: Sequence[Document], *, timeout: float
    ) -> list[Written | StoreError]:
        """Store documents durably and return the result for each, in the same order.

        Each id may occur only once. The documents are written independently: an error for one does
        not affect the others.

        - With ``_rev``, a write succeeds only while that revision is a leaf and not deleted. On
          one node, only one of several writers with the same ``_rev`` succeeds.
        - Without ``_rev``, a write succeeds only while no document of that id exists.
        - ``{"_id", "_rev", "_deleted": True}`` deletes that leaf, see also ``MergedAway``.
        - A ``_rev`` whose document is deleted or was never stored has no defined result: CouchDB
          1.x accepts it, and 3.4 does for some documents.

        Errors in the result: ``Conflict`` (not written, the revision is not a leaf), ``TooLarge``
        (not written, a retry will fail too), ``StoreUnavailable`` (not written) and
        ``OutcomeUnknown`` (perhaps written).

        Raises:
            OutcomeUnknown: the answer was lost; read the documents to learn the outcome.
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
        """Return documents with ids greater than ``after``, in byte order of their ids.

        A document with conflicting revisions appears once, with its current one. Ids that begin
        with an underscore belong to the store and are left out, so a page may hold fewer than
        ``limit`` documents without being the last.

        Args:
            after: exclusive lower bound of the ids, None to begin with the first. With
                ``descending`` it is the upper bound, and None begins with the last.
            limit: maximum number of documents, at most ``PAGE_LIMIT``.
            timeout: seconds.
            until: exclusive bound at the other end, None for no bound.
            descending: whether to go from the greatest id to the smallest.
        """

    @abstractmethod
    def changes(
        self, since: str | None, limit: int, *, timeout: float, wait: float = 0.0
    ) -> Changes:
        """Return the ids of the documents that were changed after a position.

        A document appears once, at its last change. CouchDB keeps the order within each shard only.
        It may report a change again in a later result. A cluster may report a change late.

        Args:
            since: the ``position`` of an earlier result, or None for the current end.
            limit: maximum number of ids; fewer in the result mean that there are no more.
            timeout: seconds to wait for the answer, in addition to ``wait``.
            wait: seconds to wait for a change if there is none yet.

        Raises:
            UnknownPosition: the position ``since`` is invalid or no longer known. A ``history``
                store may raise this for any position.
        """

    @abstractmethod
    def forget_deleted_leaves(self, document_ids: Collection[str], *, timeout: float) -> int:
        """Purge deleted leaves of documents that exist, and return how many were purged.

        Merging conflicting revisions deletes the losing leaves. CouchDB keeps them as tombstones,
        which slow down every read and write of the document. Deleted documents are left as they
        are. After an error, some leaves may already be purged. Needs a server admin.
        """

    @abstractmethod
    def all_nodes_connected(self, *, timeout: float) -> bool:
        """Return whether all nodes of the cluster are connected. Needs a server admin."""

    @abstractmethod
    def ping(self, *, timeout: float) -> None:
        """Check that the store answers this account; the database need not exist."""

    @abstractmethod
    def check_ready(self, *, timeout: float) -> None:
        """Check that the store is prepared for reading and writing.

        Raises:
            NotBootstrapped: the store answers but is not prepared; the message says what is
                missing.
        """

    def missing_documents(self, *, timeout: float) -> int | None:
        """Return how many documents copies lack in total, None if there is only one copy.

        ``page`` and ``changes`` read one copy, which may be incomplete: for example that of an
        empty node that has replaced another. Documents on their way to a copy get up to a second to
        arrive. ``timeout`` limits the whole call. Nodes that are disconnected or out of service
        count as complete, because nothing is read from them.
        """
        return None

    def check_copies(self, *, timeout: float) -> None:
        """Check that every copy is complete; otherwise pages may be incomplete.

        Raises:
            CopiesBehind: some copies lack documents.
        """
        if missing := self.missing_documents(timeout=timeout):
            raise CopiesBehind(
                f"copies in CouchDB lack {missing} documents that other copies hold, so lists may "
                "be incomplete"
            )

    def identity(self, *, timeout: float) -> str | None:
        """Return an id that changes when the database is recreated, None if there is none.

        With CouchDB before 3.4 the result is constant or None.

        Raises:
            StoreUnavailable: the id cannot be read now.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Close connections and files, including those of ``history``. Do not use the store
        afterwards.
        """
