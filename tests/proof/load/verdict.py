"""Compares the ledger of a load test with the content of the store.

It reads the whole histories directly from the store and replays them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from tests.proof.load.ledger import Fate, Life, Sent, named
from tests.proof.load.swarm import PROGRESS_LIMIT, Swarm
from tests.support.backends import Backend
from tests.support.documents import SOON, leaves
from tests.support.service import Reply
from tests.support.waiting import wait_until
from zerglings.domain.document_format import decode
from zerglings.domain.pose import replay
from zerglings.domain.zergling import DIED, WORDS_REMEMBERED, CommandRequest, Zergling, requests_of
from zerglings.repository.archive import Archive
from zerglings.storage.base import Store

logger = logging.getLogger(__name__)


@dataclass
class Verdict:
    """The comparison of store and ledger; each list names the faults of one kind."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    revived: list[str] = field(default_factory=list)
    uninvited: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)

    def is_clean(self) -> bool:
        return not any(vars(self).values())


def check(
    swarm: Swarm, backend: Backend, others: Collection[str] = (), *, is_healed: bool = False
) -> Verdict:
    """Compare every zergling's complete history, read from the store, with the ledger.

    Args:
        swarm: its run is over.
        backend: where the store is.
        others: ids of zerglings that the list may show too, as they are of other ledgers.
        is_healed: whether ``heal`` ran, which removes zerglings that died.
    """
    verdict = Verdict()
    sent = swarm.ledger.by_life()
    with closing(backend.open()) as store:
        for life in swarm.ledger.lives:
            _settle(swarm, store, life)
            if is_healed and life.was_to_die and not leaves(store, life.id, all_copies=True):
                _check_removed(swarm, verdict, life)
                continue
            _check_life(swarm, verdict, store, life, sent[life.id])
    _check_list(swarm, verdict, others)
    _report(swarm, verdict)
    return verdict


def _settle(swarm: Swarm, store: Store, life: Life) -> None:
    """Merge the remaining conflicting revisions with reads through every service."""

    def is_settled() -> bool:
        for service in swarm.services:
            if service.call("GET", f"/zerglings/{life.id}").status not in (200, 404):
                return False
        return len(leaves(store, life.id, all_copies=True) or []) <= 1

    wait_until(is_settled, f"{life.id} is settled", PROGRESS_LIMIT)


def _check_life(
    swarm: Swarm, verdict: Verdict, store: Store, life: Life, ledger: Sequence[Sent]
) -> None:
    found = leaves(store, life.id, all_copies=True)
    if not found:
        verdict.lost.append(f"the spawn of {life.id}")
        return
    zergling = decode(found[0])
    history = list(whole_history(store, zergling))
    remembered = list(without_late_repeats(history))
    _check_requests(verdict, life, remembered, ledger)
    _check_death(swarm, verdict, life, history)
    if not swarm.is_cluster:
        _check_order(verdict, remembered, ledger)
    words = [word for request in history for word in request.words]
    is_counted = zergling.command_count == len(words)
    is_placed = replay(life.spawn, words) == zergling.pose
    if zergling.spawn != life.spawn or not is_counted or not is_placed:
        verdict.misplaced.append(life.id)


def _check_removed(swarm: Swarm, verdict: Verdict, life: Life) -> None:
    if _statuses(swarm, life) != {404}:
        verdict.revived.append(f"{life.id}, whose document was removed")


def _statuses(swarm: Swarm, life: Life) -> set[int]:
    """Return the answers of all services to a read."""
    return {service.call("GET", f"/zerglings/{life.id}").status for service in swarm.services}


def _check_requests(
    verdict: Verdict, life: Life, history: Sequence[CommandRequest], ledger: Sequence[Sent]
) -> None:
    """Acknowledged requests must be stored once; rejected and unknown ones must not."""
    found = named(history, ledger)
    words = {name: request.words for name, request in found}
    counts = Counter(name for name, _ in found)
    verdict.doubled += [f"{id_} of {life.id}" for id_, count in counts.items() if count > 1]
    for sent in ledger:
        stored = words.get(sent.name)
        if stored is None and sent.fate is Fate.ACKNOWLEDGED:
            verdict.lost.append(f"{sent.name} of {life.id}")
        if stored not in (None, sent.request.words):
            verdict.lost.append(f"a part of {sent.name} of {life.id}")
        if sent.fate is Fate.REFUSED and stored is not None:
            verdict.uninvited.append(f"{sent.name} of {life.id}, which was refused")
    known = {sent.name for sent in ledger}
    for id_, of_id in words.items():
        if id_ not in known and not (of_id == (DIED,) and life.was_to_die):
            verdict.uninvited.append(f"{id_} of {life.id}")


def _check_death(
    swarm: Swarm, verdict: Verdict, life: Life, history: Sequence[CommandRequest]
) -> None:
    """A death is final; only commands of conflicting revisions may follow it."""
    deaths = [request for request in history if request.words == (DIED,)]
    if life.died and (not deaths or _statuses(swarm, life) != {404}):
        verdict.revived.append(life.id)
    if deaths and not swarm.is_cluster and history.index(deaths[0]) != len(history) - 1:
        verdict.revived.append(f"{life.id} went on after its death")


def without_late_repeats(history: Sequence[CommandRequest]) -> Iterator[CommandRequest]:
    """Yield the requests without repeats so late that their key may be forgotten by then.

    Keys are remembered for the newest ``WORDS_REMEMBERED`` words. A fast service can execute more
    between a request and its repeat.
    """
    ends: dict[str, int] = {}
    start = 0
    for request in history:
        is_late = start - ends.get(request.id, start) >= WORDS_REMEMBERED
        start += len(request.words)
        ends[request.id] = start
        if not is_late:
            yield request


def whole_history(store: Store, zergling: Zergling) -> Iterator[CommandRequest]:
    """Yield a zergling's requests from its first one on."""
    for chunk in Archive(store.history).oldest_first(zergling, 0, timeout=SOON):
        yield from requests_of(chunk.words, chunk.request_ids)
    yield from zergling.requests()


def _check_order(
    verdict: Verdict, history: Sequence[CommandRequest], ledger: Sequence[Sent]
) -> None:
    """A request sent after another's acknowledgement must come after it."""
    by_name = {sent.name: sent for sent in ledger}
    earliest = float("inf")
    for name, _ in reversed(named(history, ledger)):
        if (sent := by_name.get(name)) is None:
            continue
        if sent.began > earliest:
            verdict.disordered.append(f"{sent.name} of {sent.life.id}")
        if sent.fate is Fate.ACKNOWLEDGED:
            earliest = min(earliest, sent.ended)


def _check_list(swarm: Swarm, verdict: Verdict, others: Collection[str]) -> None:
    """The list must contain the living zerglings, and otherwise only those of lost responses."""
    shown = _listed(swarm)
    lives = swarm.ledger.lives
    verdict.revived += [f"{life.id} is listed" for life in lives if life.died and life.id in shown]
    surely = {life.id for life in lives if not life.was_to_die}
    verdict.lost += [f"{id_} is not listed" for id_ in surely - shown]
    strangers = shown - {life.id for life in lives} - set(others)
    if len(strangers) > swarm.ledger.unknown_spawns:
        verdict.uninvited += [f"{id_} is listed" for id_ in strangers]


def _listed(swarm: Swarm) -> set[str]:
    """Return the ids in the list; a busy store may answer it with 503 at first."""
    replies: list[Reply] = []

    def is_answered() -> bool:
        replies.append(swarm.services[0].call("GET", "/zerglings/"))
        return replies[-1].status == 200

    wait_until(is_answered, "the list is answered", PROGRESS_LIMIT)
    return {seen["id"] for seen in replies[-1].json.get("zerglings", ())}


def _report(swarm: Swarm, verdict: Verdict) -> None:
    ledger = swarm.ledger
    logger.info(
        "%d requests, %d commands: %s; %d repeated: %s; %d deaths; %s; slowest %.2f s; %s",
        ledger.statuses.total(),
        len(ledger.sent),
        ", ".join(f"{ledger.fates[fate]} {fate.value}" for fate in Fate),
        ledger.repeats.total(),
        dict(ledger.repeats),
        ledger.deaths,
        dict(ledger.statuses),
        ledger.slowest,
        ", ".join(f"{len(wrong)} {what}" for what, wrong in vars(verdict).items()),
    )
