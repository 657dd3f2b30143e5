"""Shorter forms of a zergling whose document the store refuses as too large. Pure values.

An ordinary cut leaves a document with up to twice the words that it has to keep. These leave as few
as may be, and of the dead, who are shown to nobody, none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate

from zerglings.domain.chunks import Chunk, cut_at
from zerglings.domain.zergling import DIED, Pose, Zergling

CHUNK = 50
"""Words of a chunk, unless a single request has more: fewer than the document keeps, so that the
store takes each if it takes the document."""


def smaller(zergling: Zergling, keep: int, stored: int) -> Iterator[tuple[Zergling, list[Chunk]]]:
    """Yield what may be stored instead, and the chunks to store before; the best comes first.

    Args:
        zergling: what the store refuses.
        keep: words that the document of the living keeps at least.
        stored: how many words, from the first one on, a document has already; no others are moved.
    """
    if zergling.is_dead:
        last = min(stored, zergling.history.index(DIED))
    else:
        last = min(stored, len(zergling.history) - keep)
    if cuts := _cuts(zergling, last):
        yield cut_at(zergling, cuts)
    if zergling.is_dead:
        yield _only_dead(zergling), []


def _cuts(zergling: Zergling, last: int) -> list[int]:
    """Return where to cut, the last time if possible where it stands otherwise than at its base.

    That is for the original service, as in ``chunks.shortened``.
    """
    words = zergling.history[: max(last, 0)]
    poses = list(accumulate(words, Pose.after, initial=zergling.base.pose))
    request_ids = tuple(zergling.request_ids)
    beginnings = [n for n in range(1, len(poses)) if request_ids[n]]
    elsewhere = [n for n in beginnings if poses[n] != zergling.base.pose]
    end = (elsewhere or beginnings or [0])[-1]
    cuts, start, reached = [], 0, 0
    for place in (n for n in beginnings if n <= end):
        if place - start > CHUNK and reached > start:
            cuts.append(reached)
            start = reached
        reached = place
    return [*cuts, end] if end else []


def _only_dead(zergling: Zergling) -> Zergling:
    """Return a dead zergling without its last words, which nobody can ask for any more."""
    deaths = [request for request in zergling.requests() if DIED in request.words]
    bare = replace(zergling, pose=zergling.base.pose, history=(), request_ids=())
    return bare.merged_with(deaths)
