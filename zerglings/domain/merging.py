"""Merging of rival histories of one zergling. The result is the same on every replica.

A CouchDB cluster can acknowledge two writes that follow the same revision. Each becomes a leaf of
the document's revision tree. Merging turns the leaves into one history that holds every request of
every leaf once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from zerglings.documents import rank
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
    ordered = sorted(_restore_ids(leaves), key=lambda leaf: leaf.rank, reverse=True)
    winner, *rivals = ordered
    known = {request.id for request in winner.requests()}
    missing: list[CommandRequest] = []
    for request in chain.from_iterable(rival.requests() for rival in rivals):
        if request.id not in known:
            known.add(request.id)
            missing.append(request)
    zergling = winner.zergling
    for leaf in ordered:
        if zergling.is_stripped and not leaf.zergling.is_stripped:
            zergling = replace(zergling, spawn=leaf.zergling.spawn, is_stripped=False)
    return zergling.merged_with(missing)


def _restore_ids(leaves: Sequence[Leaf]) -> list[Leaf]:
    """Give stripped leaves the request ids of the leaf with the longest common beginning."""
    references = [leaf.requests() for leaf in leaves if not leaf.zergling.is_stripped]
    references.sort(key=lambda requests: [(request.id, request.words) for request in requests])
    return [
        _align_ids(leaf, references) if leaf.zergling.is_stripped and references else leaf
        for leaf in leaves
    ]


def _align_ids(leaf: Leaf, references: Sequence[Sequence[CommandRequest]]) -> Leaf:
    """Give a stripped leaf's words the ids of the reference with the longest common beginning.

    The leaf's older requests, which come from chunks, still have their ids. Only references that
    begin with all of them are compared.
    """
    older, zergling = list(leaf.older), leaf.zergling
    candidates = [rival[len(older) :] for rival in references if list(rival[: len(older)]) == older]
    common = max(
        (_common_requests(zergling.history, rival) for rival in candidates),
        key=_word_count,
        default=[],
    )
    ids = [id_ for request in common for id_ in (request.id, *[""] * (len(request.words) - 1))]
    aligned = (*ids, *zergling.request_ids[len(ids) :])
    return replace(leaf, zergling=replace(zergling, request_ids=aligned))


def _word_count(requests: Sequence[CommandRequest]) -> int:
    return sum(len(request.words) for request in requests)


def _common_requests(
    words: Sequence[str], reference: Sequence[CommandRequest]
) -> list[CommandRequest]:
    """Return the requests of ``reference`` before the first that differs from ``words``."""
    common: list[CommandRequest] = []
    position = 0
    for request in reference:
        end = position + len(request.words)
        if tuple(words[position:end]) != request.words:
            break
        common.append(request)
        position = end
    return common
