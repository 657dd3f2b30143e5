"""Fixtures: a write batch over a store that can fail, and a group commit under control."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.faulty_store import FaultyStore
from tests.zerglings.hive.batches import Harness
from tests.zerglings.hive.group_commits import ControlledFlush, NamedCall, RecordingMonitor
from zerglings.hive.group_commit import GroupCommit
from zerglings.hive.write_batch import WriteBatch
from zerglings.repository.archive import Archive
from zerglings.repository.reading import Reader
from zerglings.storage.base import Store


@pytest.fixture
def harness(store: Store) -> Harness:
    faulty = FaultyStore(store)
    archive = Archive(faulty.history)
    return Harness(faulty, WriteBatch(faulty, Reader(faulty, archive), archive))


@pytest.fixture
def flushes() -> ControlledFlush:
    return ControlledFlush()


@pytest.fixture
def monitor() -> RecordingMonitor:
    return RecordingMonitor()


@pytest.fixture
def group(flushes: ControlledFlush, monitor: RecordingMonitor) -> GroupCommit[NamedCall]:
    return GroupCommit[NamedCall](
        flushes, batch_limit=4, queue_limit=6, grace=0.05, monitor=monitor
    )


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool
