"""Merging of rival histories of one zergling. The result is the same on every replica and region.

A CouchDB cluster can acknowledge two writes that follow the same revision, and so can two regions
before replication brings them together. Each becomes a leaf of the document's revision tree.
Merging turns the leaves into one history that holds every request of every leaf once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from zerglings.documents import rank
from zerglings.domain.lost_ids import unify_ids
from zerglings.domain.zergling import CommandRequest, Zergling


@dataclass(frozen=True, slots=True)
class Leaf:
    """One rival revision, with its older requests that other leaves may lack.

    The requests of all leaves of a merge begin at the same point of the history: at the spawn, or
    after the newest chunk that all of them share.

    Args:
        zergling: the revision.
        older: its requests between that point and ``zergling.base``.
    """

    zergling: Zergling
    older: tuple[CommandRequest, ...] = ()

    def requests(self) -> list[CommandRequest]:
        """Return all requests since the common beginning of the leaves."""
        return [*self.older, *self.zergling.requests()]

    @property
    def rank(self) -> tuple[int, str]:
        """CouchDB's sort key of leaves; the current revision has the highest."""
        return rank(self.zergling.revision or "")


def merge(leaves: Sequence[Leaf]) -> Zergling:
    """Append to the highest-ranked leaf's history the requests that only other leaves have.

    The result depends only on the set of leaves, not on their order. It has the revision of the
    highest-ranked leaf; store it as the successor of that revision.
    """
    ordered = sorted(leaves, key=lambda leaf: leaf.rank, reverse=True)
    first, *others = unify_ids([leaf.requests() for leaf in ordered])
    known = {request.id for request in first}
    missing: list[CommandRequest] = []
    for request in chain.from_iterable(others):
        if request.id not in known:
            known.add(request.id)
            missing.append(request)
    return _with_ids_of(ordered[0].zergling, first).merged_with(missing)


def _with_ids_of(zergling: Zergling, requests: Sequence[CommandRequest]) -> Zergling:
    """Return the zergling with the request ids of ``requests``, which end with its history.

    The words of a request that begins in a chunk keep their ids.
    """
    ids = [id_ for request in requests for id_ in (request.id, *[""] * (len(request.words) - 1))]
    ids = ids[len(ids) - len(zergling.history) :]
    first = next((number for number, id_ in enumerate(ids) if id_), len(ids))
    return replace(zergling, request_ids=(*zergling.request_ids[:first], *ids[first:]))
