"""Prometheus metrics of reads and writes: spawns, commands, batches, retries, merges.

They follow Prometheus' conventions: base units, ``_total`` for counters, label values from fixed
lists.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

from zerglings.domain.zergling import Zergling
from zerglings.storage.base import Conflict, OutcomeUnknown, StoreError

_SPAWNS = Counter("overmind_spawns_total", "Zerglings that were stored for the first time.")
_COMMANDS = Counter("overmind_commands_total", "Commands that were stored; MMR counts as three.")
_DEATHS = Counter("overmind_deaths_total", "Zerglings whose death was stored.")
_MERGES = Counter("overmind_merges_total", "Reads that found rival revisions and merged them.")
_MERGES_DEFERRED = Counter(
    "overmind_merges_deferred_total",
    "Reads that left out a rival revision, a merge or the beginning of a history, because it has"
    " not arrived or takes long to read.",
)
_RETRIES = Counter(
    "overmind_retries_total",
    "Attempts that are retried, by cause: conflict (a lost race), unknown (the answer was lost),"
    " unavailable.",
    ("after",),
)
_REVISION_CACHE = Counter(
    "overmind_revision_cache_total",
    "Changes to a zergling, by revision cache result: hit (saved the read), stale (wasted a"
    " write), miss (the zergling was read first).",
    ("result",),
)
_BATCH = Histogram(
    "overmind_batch_size",
    "Calls per batch, by kind (changes or looks, that is reads).",
    ("kind",),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
_QUEUE = Gauge(
    "overmind_queue_depth",
    "Calls that wait for the store, by kind (changes or looks, that is reads).",
    ("kind",),
    multiprocess_mode="livesum",
)

merged: Callable[[], None] = _MERGES.inc
part_left_out: Callable[[], None] = _MERGES_DEFERRED.inc
cache_hit: Callable[[], None] = _REVISION_CACHE.labels("hit").inc
cache_stale: Callable[[], None] = _REVISION_CACHE.labels("stale").inc
cache_missed: Callable[[], None] = _REVISION_CACHE.labels("miss").inc

_RETRY_AFTER_CONFLICT = _RETRIES.labels("conflict")
_RETRY_AFTER_UNKNOWN = _RETRIES.labels("unknown")
_RETRY_AFTER_UNAVAILABLE = _RETRIES.labels("unavailable")


def stored(before: Zergling | None, after: Zergling) -> None:
    """Count the spawn, death and commands that a confirmed write has added.

    Args:
        before: the zergling that the write was based on, or None for a spawn.
        after: the zergling as it was stored.
    """
    if before is None:
        _SPAWNS.inc()
    dies = after.is_dead and not (before is not None and before.is_dead)
    if dies:
        _DEATHS.inc()
    words = after.command_count - (before.command_count if before is not None else 0)
    if words > dies:  # negative if only the death of a dead zergling was stored
        _COMMANDS.inc(words - dies)


def retried(error: StoreError) -> None:
    """Count an attempt that failed with this error and will be retried."""
    match error:
        case Conflict():
            _RETRY_AFTER_CONFLICT.inc()
        case OutcomeUnknown():
            _RETRY_AFTER_UNKNOWN.inc()
        case _:
            _RETRY_AFTER_UNAVAILABLE.inc()


class QueueMetrics:
    """Queue depth and batch size of one kind of operations: a ``group_commit.QueueMonitor``.

    Args:
        kind: the metrics' label, ``changes`` or ``looks``.
    """

    def __init__(self, kind: str) -> None:
        self.queue_length: Callable[[float], None] = _QUEUE.labels(kind).set
        self.batch_started: Callable[[float], None] = _BATCH.labels(kind).observe
