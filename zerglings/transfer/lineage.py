"""Consistency checks of a history: a chain of chunks, then the zergling's own words.

Exports use them on documents of the store, imports on lines of a file. The start of the first chunk
is not compared with the spawn pose, because merging may have taken the spawn pose from
another leaf.
"""

from __future__ import annotations

from zerglings.domain.chunks import Chunk
from zerglings.domain.document_format import NotAZergling
from zerglings.domain.pose import replay
from zerglings.domain.zergling import Base, Zergling


def check_chunk(chunk: Chunk, before: Chunk | None) -> None:
    """Check that a chunk is consistent and continues its predecessor.

    Args:
        chunk: the chunk to check.
        before: its predecessor, None for the first chunk of a history.

    Raises:
        NotAZergling: it is inconsistent, or does not continue its predecessor.
    """
    if before is not None and before.zergling_id != chunk.zergling_id:
        raise NotAZergling("the part before it belongs to another zergling")
    if chunk.start != (before.end if before else 0) or chunk.previous != (before and before.id):
        raise NotAZergling("it does not follow the part of the history that comes before it")
    if before is not None and chunk.before != before.after:
        raise NotAZergling("it does not begin where the part before it ends")
    if replay(chunk.before, chunk.words) != chunk.after:
        raise NotAZergling("its commands do not lead to the position at its end")


def check_zergling(zergling: Zergling, newest: Chunk | None) -> None:
    """Check that a zergling's own words continue its newest chunk and lead to its pose.

    Args:
        zergling: the zergling to check.
        newest: its newest chunk, None without chunks.

    Raises:
        NotAZergling: the history is inconsistent, or its older part is missing.
    """
    if newest is not None and newest.zergling_id != zergling.id:
        raise NotAZergling("the part of a history that precedes it belongs to another zergling")
    if newest is None and (zergling.base.chunk is not None or zergling.base.count):
        raise NotAZergling("the older part of its history is missing")
    if newest is not None and zergling.base != Base(newest.after, newest.end, newest.id):
        raise NotAZergling("it does not continue where the older part of its history ends")
    if replay(zergling.base.pose, zergling.history) != zergling.pose:
        raise NotAZergling("its history does not lead to its location")
