"""Shorter forms of a zergling whose document is too large for the store.

An ordinary shortening (``chunks.shorten``) starts only when the document has more than twice the
words that must stay. These forms keep as few words as possible. The smallest form of a dead
zergling has only its death, because clients cannot read its history any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate

from zerglings.domain.chunks import Chunk, beginnings, split_at
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import DIED, Zergling

CHUNK_SIZE = 50
"""Maximum number of words in a chunk. A single request may have more. A living zergling's document
keeps more words than this, so a store that accepts the document also accepts the chunks."""


def smaller_forms(
    zergling: Zergling, keep: int, stored: int
) -> Iterator[tuple[Zergling, list[Chunk]]]:
    """Yield smaller forms of a zergling, largest first, each with the chunks to store before it.

    Args:
        zergling: the zergling whose document is too large.
        keep: minimum number of words that stay in the document of a living zergling.
        stored: number of words at the beginning of ``history`` that the stored document already
            has. Only these may be moved into chunks.
    """
    if zergling.is_dead:
        last = min(stored, zergling.history.index(DIED))
    else:
        last = min(stored, len(zergling.history) - keep)
    if cuts := _cut_positions(zergling, last):
        yield split_at(zergling, cuts)
    if zergling.is_dead:
        yield _death_only(zergling), []


def _cut_positions(zergling: Zergling, last: int) -> list[int]:
    """Return where to cut. If possible, the last cut is not at one of the ``beginnings``.

    Otherwise the base cannot be recovered reliably once the original service has rewritten the
    document, see ``chunks.shorten``.
    """
    words = zergling.history[: max(last, 0)]
    poses = list(accumulate(words, Pose.after, initial=zergling.base.pose))
    request_ids = tuple(zergling.request_ids)
    request_starts = [n for n in range(1, len(poses)) if request_ids[n]]
    unsuitable = beginnings(zergling)
    preferred = [n for n in request_starts if poses[n] not in unsuitable]
    end = (preferred or request_starts or [0])[-1]
    cuts, start, last_start = [], 0, 0
    for start_of_request in (n for n in request_starts if n <= end):
        if start_of_request - start > CHUNK_SIZE and last_start > start:
            cuts.append(last_start)
            start = last_start
        last_start = start_of_request
    return [*cuts, end] if end else []


def _death_only(zergling: Zergling) -> Zergling:
    """Return a dead zergling whose document holds only the death."""
    deaths = [request for request in zergling.requests() if DIED in request.words]
    emptied = replace(zergling, pose=zergling.base.pose, history=(), request_ids=())
    return replace(emptied.merged_with(deaths), merged=None)  # no keys are left to recognise
