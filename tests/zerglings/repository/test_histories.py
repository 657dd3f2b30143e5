"""Tests for histories of which a part has not arrived from another region, over both stores."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY

from tests.support.documents import SOON
from zerglings.documents import Document
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.hive import Hive
from zerglings.repository.chunk_store import MissingChunk
from zerglings.storage.base import Store

TAIL = 100
WORDS = "".join("MLRM"[number % 4] for number in range(5 * TAIL))


@pytest.fixture
def zergling(hive: Hive) -> Zergling:
    """A zergling of 500 words, the oldest of which are in several chunks."""
    spawn = hive.spawn(Pose())
    for start in range(0, len(WORDS), TAIL):
        request = CommandRequest.command(WORDS[start : start + TAIL])
        zergling = hive.command(spawn.id, request)
    return zergling


@pytest.fixture
def chunks(zergling: Zergling, store: Store) -> list[Document]:
    """Its chunks, oldest first."""
    found = store.history.page(None, 10, timeout=SOON).documents
    assert len(found) >= 3
    return found


@pytest.fixture
def region(monkeypatch: pytest.MonkeyPatch, store: Store) -> Hive:
    """The hive of a region, which waits for chunks for a short time."""
    monkeypatch.setattr("zerglings.repository.histories.ARRIVAL_LIMIT", 0.1)
    monkeypatch.setattr("zerglings.repository.histories.ARRIVAL_PAUSE", 0.01)
    return Hive(store, is_region=True)


def take_away(store: Store, chunks: Sequence[Document]) -> None:
    gone = [{"_id": each["_id"], "_rev": each["_rev"], "_deleted": True} for each in chunks]
    store.history.put_many(gone, timeout=SOON)


def bring_back(store: Store, chunks: Sequence[Document]) -> None:
    new = [{k: v for k, v in chunk.items() if k != "_rev"} for chunk in chunks]
    store.history.put_many(new, timeout=SOON)


def damage(store: Store, chunk: Document) -> None:
    (result,) = store.history.put_many([chunk | {"commands": 5}], timeout=SOON)
    assert not isinstance(result, Exception)


def ends(chunks: Sequence[Document]) -> list[int]:
    """Return the number of the word after each chunk."""
    return [*(int(chunk["_id"].split(":")[1]) for chunk in chunks[1:]), -1]


def read(
    hive: Hive, zergling: Zergling, offset: int = 0, limit: int | None = None
) -> tuple[int, str, int | None]:
    """Return how many words are missing, the words, and the next word's number."""
    history = hive.history(zergling.id, offset, limit)
    return history.missing, "".join(w for part in history.parts for w in part), history.after


def test_a_whole_history_lacks_nothing(
    region: Hive, zergling: Zergling, chunks: list[Document]
) -> None:
    assert read(region, zergling) == (0, WORDS, None)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_region_serves_the_words_after_the_part_that_has_not_arrived(
    region: Hive, store: Store, zergling: Zergling, chunks: list[Document], lost: int
) -> None:
    take_away(store, [chunks[lost]])
    known = ends(chunks)[lost]
    assert read(region, zergling) == (known, WORDS[known:], None)
    bring_back(store, [chunks[lost]])
    assert read(region, zergling) == (0, WORDS, None)


def test_without_any_chunk_a_region_serves_the_words_of_the_document(
    region: Hive, store: Store, zergling: Zergling, chunks: list[Document]
) -> None:
    take_away(store, chunks)
    kept = len(region.get(zergling.id).history)
    assert TAIL <= kept < len(WORDS)
    assert read(region, zergling) == (len(WORDS) - kept, WORDS[-kept:], None)


@pytest.mark.parametrize("limit", [1, 7, 100, 333])
def test_pages_of_an_incomplete_history_keep_their_places(
    region: Hive, store: Store, zergling: Zergling, chunks: list[Document], limit: int
) -> None:
    take_away(store, [chunks[0]])
    known = ends(chunks)[0]
    for offset in (0, known - 1, known, known + 1, len(WORDS) - 1, len(WORDS), len(WORDS) + 9):
        end = min(offset + limit, len(WORDS))
        after = end if end < len(WORDS) else None
        missing = max(0, min(known, end) - offset)
        assert read(region, zergling, offset, limit) == (
            missing,
            WORDS[offset + missing : end],
            after,
        )


def test_histories_that_lack_a_part_are_counted_and_logged(
    region: Hive,
    store: Store,
    zergling: Zergling,
    chunks: list[Document],
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted = REGISTRY.get_sample_value("overmind_merges_deferred_total") or 0
    read(region, zergling)
    assert (REGISTRY.get_sample_value("overmind_merges_deferred_total") or 0) == counted
    take_away(store, chunks[:1])
    with caplog.at_level(logging.WARNING):
        read(region, zergling)
    assert REGISTRY.get_sample_value("overmind_merges_deferred_total") == counted + 1
    assert f"The history of {zergling.id} is incomplete here" in caplog.text


def test_a_history_waits_for_chunks_that_arrive_late(
    region: Hive,
    store: Store,
    zergling: Zergling,
    chunks: list[Document],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take_away(store, chunks)
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: bring_back(store, chunks))
    monkeypatch.setattr("zerglings.repository.histories.time", clock)
    assert read(region, zergling) == (0, WORDS, None)


def test_without_other_regions_a_missing_chunk_is_an_error(
    region: Hive, hive: Hive, store: Store, zergling: Zergling, chunks: list[Document]
) -> None:
    take_away(store, chunks[:1])
    began = time.monotonic()
    with pytest.raises(MissingChunk):
        hive.history(zergling.id)
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("damaged", [0, 1, -1])
def test_a_damaged_chunk_is_an_error_in_regions_too(
    region: Hive, store: Store, zergling: Zergling, chunks: list[Document], damaged: int
) -> None:
    damage(store, chunks[damaged])
    with pytest.raises(MissingChunk, match="damaged"):
        list(region.history(zergling.id).parts)


def test_a_damaged_chunk_after_a_missing_one_is_an_error(
    region: Hive, store: Store, zergling: Zergling, chunks: list[Document]
) -> None:
    take_away(store, chunks[:1])
    damage(store, chunks[1])
    with pytest.raises(MissingChunk, match="damaged"):
        list(region.history(zergling.id).parts)


def test_a_chunk_that_was_waited_for_in_vain_is_not_waited_for_again_at_once(
    region: Hive,
    store: Store,
    zergling: Zergling,
    chunks: list[Document],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take_away(store, chunks[:1])
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append)
    monkeypatch.setattr("zerglings.repository.histories.time", clock)
    read(region, zergling)
    waited = len(pauses)
    assert waited > 0
    for offset in range(0, ends(chunks)[0], 50):
        assert read(region, zergling, offset, 50)[0] > 0
    assert len(pauses) == waited
    bring_back(store, chunks[:1])
    assert read(region, zergling) == (0, WORDS, None)


def test_few_chunks_are_remembered_that_were_waited_for_in_vain(
    region: Hive,
    store: Store,
    zergling: Zergling,
    chunks: list[Document],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zerglings.repository.histories.IN_VAIN_SIZE", 2)
    for chunk in chunks[::-1]:
        take_away(store, [chunk])
        read(region, zergling)
        assert 0 < len(region._histories._in_vain) <= 2
