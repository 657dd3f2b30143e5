"""Tests for the promises that hold when the original writes between two of the service's writes.

The service serves and moves what the original stored, and keeps each command that it acknowledged
exactly once. The original may lose its own acknowledged commands, and an idempotency key from
before its write may be forgotten.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.support.backends import couchdb_backend, sqlite_backend
from tests.support.faulty_store import FaultyStore
from tests.support.original import Original
from tests.support.site import CouchDBServer
from zerglings.documents import Document
from zerglings.domain.pose import Pose, replay
from zerglings.domain.zergling import DIED, CommandRequest
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import NoSuchZergling
from zerglings.storage.base import OutcomeUnknown, Store

TAIL = 4
"""Commands that a document keeps, few so that chunks are made soon."""

HIVES = 2

service_commands = st.sampled_from(["M", "L", "R", "RR", "RRR", "MRM", "MMLLMM"])
"""Commands sent to the service; some combinations return to their start."""

original_commands = st.sampled_from(["M", "L", "R", "jump"])
"""Commands sent to the original, which records unknown ones too."""

hives = st.integers(0, HIVES - 1)


class Life:
    """A zergling that two replicas of the service and the original write.

    ``words`` is what its history must be: all that was stored or acknowledged, in order.
    """

    def __init__(self, store: Store, *, is_spawned_by_original: bool) -> None:
        self._faulty = FaultyStore(store)
        self._original = Original(store)
        self._hives = [Hive(self._faulty, tail=TAIL) for _ in range(HIVES)]
        self._late: Document | None = None
        self._is_dead = False
        self.words: list[str] = []
        self.id = (
            self._original.spawn() if is_spawned_by_original else self._hives[0].spawn(Pose()).id
        )

    def command(self, hive: int, words: str) -> None:
        self._send(hive, CommandRequest.command(words))
        self._note(words)

    def command_with_a_key(self, hive: int, words: str) -> None:
        """Send a command with a key, and repeat it at once and through another replica."""
        request = CommandRequest.command(words, f"key {len(self.words)}")
        for number in (hive, 1 - hive, hive):
            self._send(number, request)
        self._note(words)

    def repeat_after_original(self, hive: int, words: str, word: str) -> None:
        """Repeat a key after the original wrote: it may count again, but only completely."""
        self.command_with_a_key(hive, words)
        self.original_command(word)
        request = CommandRequest.command(words, f"key {len(self.words) - len(words) - 1}")
        self._send(hive, request)
        if self._stored() != self.words:
            self._note(words)

    def command_around_original(self, hive: int, words: str, word: str) -> None:
        """The original writes between the service's read and write."""
        self._once("before_put", lambda: self.original_command(word))
        self.command(hive, words)

    def stored_before_original(self, hive: int, words: str, word: str) -> None:
        """A write is stored, its response is lost, and the original writes before the look-up."""

        def lose() -> None:
            self._note(words)
            self.original_command(word)
            raise OutcomeUnknown("lost")

        self._once("after_put", lose)
        self._send_with_unknown_outcome(hive, words)

    def lost_before_original(self, hive: int, words: str, word: str) -> None:
        """A write and its response are lost, and the original writes before the look-up."""

        def lose() -> None:
            self.original_command(word)
            raise OutcomeUnknown("lost")

        self._once("before_put", lose)
        if self._send_with_unknown_outcome(hive, words):
            self._note(words)

    def stored_before_original_and_replica(
        self, hive: int, words: str, word: str, others: str
    ) -> None:
        """As ``stored_before_original``, but another replica writes too before the look-up."""

        def lose() -> None:
            self._note(words)
            self.original_command(word)
            self.command(1 - hive, others)
            raise OutcomeUnknown("lost")

        self._once("after_put", lose)
        self._send_with_unknown_outcome(hive, words)

    def original_command(self, word: str) -> None:
        """The original executes a command without concurrent writes."""
        assert self._original.command(self.id, word)
        self.words.append(word)

    def original_late_write(self, word: str) -> None:
        """The original writes a document that it read earlier, and ignores the outcome."""
        if self._late is not None and self._original.write(self._late, word):
            self.words.append(word)
        self._late = self._original.read(self.id)

    def death(self, hive: int) -> None:
        if not self._is_dead:
            self._hives[hive].kill(self.id)
            self.words.append(DIED)
            self._is_dead = True

    def restart(self, hive: int) -> None:
        """Replace a replica by a new one with empty caches."""
        self._hives[hive] = Hive(self._faulty, tail=TAIL)

    def check(self) -> None:
        """Check that replicas return the complete history, and the pose that it leads to."""
        if self._is_dead:
            for hive in self._hives:
                with pytest.raises(NoSuchZergling):
                    hive.get(self.id)
            return
        for hive in self._hives:
            zergling = hive.get(self.id)
            assert _whole(hive, self.id) == self.words
            assert zergling.command_count == len(self.words)
            assert zergling.pose == replay(zergling.spawn, self.words)
            assert zergling.spawn == Pose()

    def _stored(self) -> list[str]:
        return self.words if self._is_dead else _whole(self._hives[0], self.id)

    def _send(self, hive: int, request: CommandRequest) -> None:
        """Send a request that must be acknowledged, or be not found after the death."""
        try:
            self._hives[hive].command(self.id, request)
        except NoSuchZergling:
            assert self._is_dead
        else:
            assert not self._is_dead

    def _send_with_unknown_outcome(self, hive: int, words: str) -> bool:
        """Send a request whose outcome may stay unknown; return whether it was acknowledged."""
        try:
            self._send(hive, CommandRequest.command(words))
        except OutcomeUnknown:
            return False
        return True

    def _note(self, words: str) -> None:
        if not self._is_dead:
            self.words += words

    def _once(self, hook: str, act: Callable[[], None]) -> None:
        """Run a function at the next write of a zergling's document."""

        def first(_: Document) -> None:
            setattr(self._faulty, hook, lambda _: None)
            act()

        if not self._is_dead:
            setattr(self._faulty, hook, first)


def _whole(hive: Hive, zergling_id: str) -> list[str]:
    return [word for part in hive.history(zergling_id).parts for word in part]


steps = st.one_of(
    st.tuples(st.just(Life.command), hives, service_commands),
    st.tuples(st.just(Life.command_with_a_key), hives, service_commands),
    st.tuples(st.just(Life.repeat_after_original), hives, service_commands, original_commands),
    st.tuples(st.just(Life.command_around_original), hives, service_commands, original_commands),
    st.tuples(st.just(Life.stored_before_original), hives, service_commands, original_commands),
    st.tuples(st.just(Life.lost_before_original), hives, service_commands, original_commands),
    st.tuples(
        st.just(Life.stored_before_original_and_replica),
        hives,
        service_commands,
        original_commands,
        service_commands,
    ),
    st.tuples(st.just(Life.original_command), original_commands),
    st.tuples(st.just(Life.original_late_write), original_commands),
    st.tuples(st.just(Life.restart), hives),
)
lives = st.tuples(
    st.booleans(), st.lists(steps, min_size=1, max_size=25), st.booleans(), st.lists(steps)
)


def live(store: Store, life: tuple[bool, list[Any], bool, list[Any]]) -> None:
    """Take the steps of a life, before and after its death, and check it after each."""
    is_spawned_by_original, before, dies, after = life
    note(str([(step.__name__, *arguments) for step, *arguments in before]))
    one = Life(store, is_spawned_by_original=is_spawned_by_original)
    for step, *arguments in before:
        step(one, *arguments)
        one.check()
    if dies:
        one.death(0)
        for step, *arguments in after:
            step(one, *arguments)
            one.check()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(sqlite_backend(tmp_path_factory.mktemp("store")).open()) as store:
        yield store


@pytest.fixture(scope="module")
def remote(couchdb: CouchDBServer) -> Iterator[Store]:
    with couchdb_backend(couchdb) as backend, closing(backend.open()) as store:
        yield store


LONG = os.environ.get("OVERMIND_STRESS") == "1"
no_deadline = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(no_deadline, max_examples=3000 if LONG else 80)
@given(lives)
def test_acknowledged_commands_count_once_when_the_original_writes_in_between(
    embedded: Store, life: tuple[bool, list[Any], bool, list[Any]]
) -> None:
    live(embedded, life)


@settings(no_deadline, max_examples=200 if LONG else 8)
@given(lives)
def test_acknowledged_commands_count_once_over_couchdb_too(
    remote: Store, life: tuple[bool, list[Any], bool, list[Any]]
) -> None:
    live(remote, life)
