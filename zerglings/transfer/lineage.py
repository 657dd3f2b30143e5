"""Whether a history holds together: chunk after chunk from the first word, then the zergling's own.

Pure, and the same for what a store gives and for what a file says. Where the first chunk begins is
not compared with the zergling's spawn, which merging may have taken from another leaf.
"""

from __future__ import annotations

from zerglings.domain.chunks import Chunk
from zerglings.domain.document import NotAZergling
from zerglings.domain.zergling import Base, Zergling, replay


def check_chunk(chunk: Chunk, before: Chunk | None) -> None:
    """Return if a chunk holds together and goes on where ``before`` ends, None for the first.

    Raises:
        NotAZergling: it does not.
    """
    if before is not None and before.zergling_id != chunk.zergling_id:
        raise NotAZergling("the part before it is another zergling's")
    if chunk.start != (before.end if before else 0) or chunk.previous != (before and before.id):
        raise NotAZergling("it does not follow the part of the history that comes before it")
    if before is not None and chunk.before != before.after:
        raise NotAZergling("it begins where the part before it does not end")
    if replay(chunk.before, chunk.words) != chunk.after:
        raise NotAZergling("its commands do not lead where it ends")


def check_zergling(zergling: Zergling, newest: Chunk | None) -> None:
    """Return if a zergling's own history goes on where ``newest`` ends and leads to where it is.

    Raises:
        NotAZergling: it does not.
    """
    if newest is not None and newest.zergling_id != zergling.id:
        raise NotAZergling("the part of a history before it is another zergling's")
    if newest is None and (zergling.base.chunk is not None or zergling.base.count):
        raise NotAZergling("the older part of its history is missing")
    if newest is not None and zergling.base != Base(newest.after, newest.end, newest.id):
        raise NotAZergling("it does not go on where the older part of its history ends")
    if replay(zergling.base.pose, zergling.history) != zergling.pose:
        raise NotAZergling("its history does not lead to its location")
