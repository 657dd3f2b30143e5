"""Merging the rival histories of one zergling: pure, and on every replica with the same result.

A CouchDB cluster can acknowledge two writes that both followed the same revision. Each then lives
on as a leaf of its own. Here the leaves become one history again that holds every request of each,
once. Knows nothing of stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from zerglings.documents import rank
from zerglings.domain.zergling import CommandRequest, Zergling


@dataclass(frozen=True, slots=True)
class Leaf:
    """One of the rivals, with its requests from before its kept history, as far as they differ.

    All leaves that are merged together begin at the same place: at their spawn, or where a part of
    the history ends that all of them share.
    """

    zergling: Zergling
    older: tuple[CommandRequest, ...] = ()

    def requests(self) -> list[CommandRequest]:
        """Return the requests since the place where all leaves begin."""
        return [*self.older, *self.zergling.requests()]

    @property
    def rank(self) -> tuple[int, str]:
        """What CouchDB orders leaves by; the highest is the current revision."""
        return rank(self.zergling.revision or "")


def merge(leaves: Sequence[Leaf]) -> Zergling:
    """Return the winner with all that only its rivals have behind its own history.

    The result depends on nothing but the set of the leaves. Its revision is the winner's, onto
    which it is to be written.
    """
    ordered = sorted(_with_ids(leaves), key=lambda leaf: leaf.rank, reverse=True)
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


def _with_ids(leaves: Sequence[Leaf]) -> list[Leaf]:
    """Give the leaves that lost their ids those of the rival that begins most like them."""
    references = [leaf.requests() for leaf in leaves if not leaf.zergling.is_stripped]
    references.sort(key=lambda requests: [(request.id, request.words) for request in requests])
    return [
        _aligned(leaf, references) if leaf.zergling.is_stripped and references else leaf
        for leaf in leaves
    ]


def _aligned(leaf: Leaf, references: Sequence[Sequence[CommandRequest]]) -> Leaf:
    """Give a leaf's kept words the ids of the rival that goes on most like it.

    Its older requests have their ids; only a rival that shares all of them can be told to go on
    alike.
    """
    older, kept = list(leaf.older), leaf.zergling
    going_on = [rival[len(older) :] for rival in references if list(rival[: len(older)]) == older]
    common = max((_common(kept.history, rival) for rival in going_on), key=_length, default=[])
    ids = [id_ for request in common for id_ in (request.id, *[""] * (len(request.words) - 1))]
    aligned = (*ids, *kept.request_ids[len(ids) :])
    return replace(leaf, zergling=replace(kept, request_ids=aligned))


def _length(requests: Sequence[CommandRequest]) -> int:
    return sum(len(request.words) for request in requests)


def _common(words: Sequence[str], reference: Sequence[CommandRequest]) -> list[CommandRequest]:
    """Return the whole requests that a history of bare words has in common with another."""
    common: list[CommandRequest] = []
    position = 0
    for request in reference:
        end = position + len(request.words)
        if tuple(words[position:end]) != request.words:
            break
        common.append(request)
        position = end
    return common
