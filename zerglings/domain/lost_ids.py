"""Recognises requests whose ids were lost in some of the rival histories.

The original service drops the ids of a history. Each word then gets an id that is derived from the
words before it (see ``document_format``), and keeps it from the next write on. A rival history may
hold the same words with their real ids.
"""

from __future__ import annotations

from collections.abc import Sequence

from zerglings.domain.request_ids import derived_again, is_derived
from zerglings.domain.zergling import CommandRequest

Requests = list[CommandRequest]


def unify_ids(histories: Sequence[Requests]) -> list[Requests]:
    """Give words with derived ids the ids that other histories have for them.

    Two histories hold the same requests as far as they begin with the same words, unless both know
    the ids and these differ. Each history is compared with all others, first with the one with
    which it has the longest common beginning. Equal commands that were given at the same time at
    the end of a common beginning cannot be told from one command.

    Args:
        histories: requests since a common point, in an order that does not depend on the reader.
    """
    if not any(is_derived(request.id) for history in histories for request in history):
        return list(histories)
    unified = [_distinguish(history) for history in histories]
    for _ in unified:  # an id may have to pass through every other history
        before = unified
        unified = [
            _taking_ids_of(history, [*before[:number], *before[number + 1 :]])
            for number, history in enumerate(before)
        ]
        if unified == before:
            break
    return unified


def _distinguish(history: Requests) -> Requests:
    """Replace repeated derived ids: documents that begin with the same words have the same ids."""
    seen: set[str] = set()
    distinct: Requests = []
    for request in history:
        id_ = request.id
        while id_ in seen and is_derived(id_):
            id_ = derived_again(id_)
        seen.add(id_)
        distinct.append(CommandRequest(id_, request.words))
    return distinct


def _taking_ids_of(history: Requests, others: Sequence[Requests]) -> Requests:
    """Return a history with the ids that others have for the words of their common beginnings."""
    lengths = [_align(history, other)[0] for other in others]
    for number in sorted(range(len(others)), key=lengths.__getitem__, reverse=True):
        _, history = _align(history, others[number])
    return history


def _align(history: Requests, other: Requests) -> tuple[int, Requests]:
    """Return the number of words in the common beginning, and the history with its ids there.

    Documents that begin with the same words at different places have the same derived ids. So an id
    that one of the two histories has for another word is not taken by the other one.
    """
    known, theirs = ({request.id for request in each} for each in (history, other))
    begun: Requests = []
    here = there = 0
    while here < len(history) and there < len(other):
        mine, its = history[here], other[there]
        if mine == its:
            begun.append(mine)
            here, there = here + 1, there + 1
        elif _spells(history, here, its.words):
            is_better = not is_derived(its.id) or its.id < mine.id or mine.id in theirs
            end = here + len(its.words)
            begun += [its] if is_better and its.id not in known else history[here:end]
            here, there = end, there + 1
        elif _spells(other, there, mine.words):
            begun.append(mine)
            here, there = here + 1, there + len(mine.words)
        else:
            break
    return sum(len(request.words) for request in begun), begun + history[here:]


def _spells(history: Requests, start: int, words: Sequence[str]) -> bool:
    """Whether a history goes on with these words, each with a derived id."""
    run = history[start : start + len(words)]
    return len(run) == len(words) and all(
        is_derived(request.id) and request.words == (word,)
        for request, word in zip(run, words, strict=True)
    )
