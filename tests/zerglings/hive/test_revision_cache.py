"""Tests for the revision cache: what it keeps, and when an entry is used."""

from __future__ import annotations

import uuid
from dataclasses import replace

from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.revision_cache import READ_EVERY, RevisionCache


def zergling(revision: str = "1-a", words: int = 0) -> Zergling:
    newborn = Zergling.spawned(str(uuid.uuid4()), Pose())
    requests = [CommandRequest(f"r{number}", ("M",)) for number in range(words)]
    return replace(newborn.merged_with(requests), revision=revision)


def trusting(cache: RevisionCache, seen: Zergling) -> RevisionCache:
    for _ in range(100):
        cache.record_read(seen)
    return cache


def test_the_cache_returns_only_recorded_zerglings() -> None:
    cache, seen = RevisionCache(), zergling()
    assert cache.get_for_write(seen.id) is None
    cache.record_read(seen)
    assert cache.get_for_write(seen.id) == seen
    assert cache.get_for_write(zergling().id) is None


def test_the_cache_is_bypassed_while_other_processes_write() -> None:
    cache, seen = RevisionCache(), zergling()
    trusting(cache, seen)
    for number in range(10):
        cache.record_read(replace(seen, revision=f"{number + 2}-b"))
    assert cache.get_for_write(seen.id) is None
    assert trusting(cache, seen).get_for_write(seen.id) == seen


def test_repeated_write_failures_disable_the_cache() -> None:
    cache, seen = RevisionCache(), zergling()
    trusting(cache, seen)
    for _ in range(3):
        assert cache.get_for_write(seen.id) == seen
        cache.record_failure(seen.id, was_cached=True)
        cache.record_write(seen, was_cached=False)
    assert cache.get_for_write(seen.id) is None


def test_a_failed_write_removes_the_entry() -> None:
    cache, seen = RevisionCache(), zergling()
    trusting(cache, seen).record_failure(seen.id, was_cached=False)
    assert cache.get_for_write(seen.id) is None
    cache.record_read(seen)
    assert cache.get_for_write(seen.id) == seen


def test_every_nth_write_bypasses_the_cache() -> None:
    cache, seen = RevisionCache(), zergling()
    trusting(cache, seen)
    offers = []
    for _ in range(3 * READ_EVERY):
        offers.append(cache.get_for_write(seen.id) is not None)
        cache.record_write(seen, was_cached=offers[-1])
    assert offers.count(False) == 3


def test_least_recently_used_entries_are_evicted_at_the_size_limit() -> None:
    cache = RevisionCache(size_limit=10 * (900 + 80 * 10))
    swarm = [zergling(words=10) for _ in range(15)]
    for seen in swarm:
        trusting(cache, seen)
    assert [cache.get_for_write(seen.id) is not None for seen in swarm] == [False] * 5 + [True] * 10
    trusting(cache, zergling(words=95))
    assert sum(cache.get_for_write(seen.id) is not None for seen in swarm) == 5


def test_dead_zerglings_are_not_cached() -> None:
    cache, seen = RevisionCache(), zergling(words=3)
    cache.record_read(seen)
    dead = replace(seen.apply(CommandRequest.death(0)), revision="2-b")
    cache.record_write(dead, was_cached=True)
    assert cache.get_for_write(seen.id) is None
