"""Tests for the HTTP status and message of each store error."""

from __future__ import annotations

from zerglings.api.exceptions import known_error
from zerglings.storage.base import OutcomeUnknown, StoreUnavailable, TooLarge, WriteFailed


def test_what_the_store_finds_too_large_is_no_outage() -> None:
    known = known_error(TooLarge("CouchDB answered 413"))
    assert known is not None
    assert known[0] == 413


def test_an_answer_that_a_write_failed_is_no_lost_answer() -> None:
    sentences = {
        known[1]
        for error in (WriteFailed("500"), OutcomeUnknown("lost"), StoreUnavailable("away"))
        if (known := known_error(error)) is not None and known[0] == 503
    }
    assert len(sentences) == 3
