"""Tests that an export waits for complete shard copies, or fails."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tests.support.faulty_store import FaultyStore
from tests.support.lives import TAIL, populate
from zerglings.storage.base import CopiesBehind, Store
from zerglings.transfer import exporting
from zerglings.transfer.exporting import Exporter
from zerglings.transfer.lines import ExportWriter, whole_part
from zerglings.transfer.tally import ZERGLING, Tally


def write_all(store: Store, stream: io.BytesIO, tally: Tally | None = None) -> None:
    exporter = Exporter(store, TAIL, pause=lambda _: None)
    exporter.write(ExportWriter(stream, tally or Tally()), lambda _: None)


def exported(store: Store) -> bytes:
    stream = io.BytesIO()
    write_all(store, stream)
    return stream.getvalue()


def behind(first: int, last: int) -> Callable[[], int]:
    """Return a hook that reports missing documents at some calls, counted from 0."""
    calls = iter(range(1_000_000))
    return lambda: 9 if first <= next(calls) <= last else 0


@pytest.fixture
def faulty(store: Store, monkeypatch: pytest.MonkeyPatch) -> FaultyStore:
    """A store whose pages hold two zerglings."""
    monkeypatch.setattr(exporting, "ZERGLINGS_PER_READ", 2)
    monkeypatch.setattr(exporting, "PAGES_PER_COMPARISON", 1)
    populate(store)
    return FaultyStore(store)


@pytest.mark.parametrize("first", range(10))
@pytest.mark.parametrize("calls", [2, 5])
def test_an_incomplete_list_is_read_again(
    faulty: FaultyStore, store: Store, first: int, calls: int
) -> None:
    """A copy is empty before, during or after the read of any page."""
    faulty.lacks = behind(first, first + calls - 1)
    assert exported(faulty) == exported(store)


def interrupted(faulty: FaultyStore) -> tuple[io.BytesIO, Tally]:
    """Return the stream of an export that missing documents stop, and the tally of its content."""
    stream = io.BytesIO()
    with pytest.raises(CopiesBehind):
        write_all(faulty, stream)
    stream.seek(0)
    tally = whole_part(stream)
    assert tally is not None, "the file is taken for complete"
    return stream, tally


@pytest.mark.parametrize("first", range(9))
def test_an_export_stopped_by_incomplete_copies_can_be_resumed(
    faulty: FaultyStore, store: Store, first: int
) -> None:
    faulty.lacks = behind(first, 1_000_000)
    stream, tally = interrupted(faulty)
    stream.truncate(tally.size)
    stream.seek(tally.size)
    write_all(store, stream, tally)
    assert stream.getvalue() == exported(store)


def test_key_records_are_listed_completely_too(faulty: FaultyStore, store: Store) -> None:
    faulty.history.lacks = behind(0, 4)
    assert exported(faulty) == exported(store)
    faulty.history.lacks = behind(1, 1_000_000)
    _, tally = interrupted(faulty)
    assert tally.counts[ZERGLING] == 5
