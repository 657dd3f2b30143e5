"""Tests for the HTTP status and message of each store error."""

from __future__ import annotations

from zerglings.api.exceptions import known_error
from zerglings.storage.base import OutcomeUnknown, StoreUnavailable, TooLarge, WriteFailed


def test_a_too_large_document_is_a_413() -> None:
    known = known_error(TooLarge("CouchDB answered 413"))
    assert known is not None
    assert known[0] == 413


def test_failed_writes_unknown_outcomes_and_outages_have_different_messages() -> None:
    sentences = {
        known[1]
        for error in (WriteFailed("500"), OutcomeUnknown("lost"), StoreUnavailable("away"))
        if (known := known_error(error)) is not None and known[0] == 503
    }
    assert len(sentences) == 3
