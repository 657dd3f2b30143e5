"""Tests that a streamed response is never valid JSON when it is cut off, wherever that is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.zerglings.strategies import histories, poses
from zerglings.api import renderers
from zerglings.repository.histories import History

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])

sightings = st.tuples(st.uuids(version=4).map(str), poses)
results = st.fixed_dictionaries(
    {"status": st.sampled_from((200, 404)), "error": st.text(alphabet='{}[]",:\\é', max_size=9)}
)


def parts_of(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[list[Any]]]:
    return st.lists(st.lists(items, max_size=3), max_size=4)


def assert_whole_or_no_json(stream: Iterable[bytes]) -> None:
    """Truncate the stream after every byte."""
    whole = b"".join(stream)
    assert is_json(whole)
    assert not any(is_json(whole[:end]) for end in range(len(whole)))


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@few
@given(parts_of(sightings))
def test_a_truncated_list_is_not_valid_json(pages: list[list[Any]]) -> None:
    assert_whole_or_no_json(renderers.stream_list_body(pages))


@few
@given(st.lists(histories, max_size=4), st.integers(0, 3))
def test_a_truncated_history_is_not_valid_json(parts: list[list[str]], missing: int) -> None:
    assert_whole_or_no_json(renderers.stream_history_body(History(iter(parts), missing, None)))


@few
@given(parts_of(results).filter(lambda parts: bool(parts) and all(parts)))
def test_truncated_bulk_results_are_not_valid_json(parts: list[list[Any]]) -> None:
    assert_whole_or_no_json(renderers.stream_results_body(parts))
