"""Tests for the HTTP status and message of each store error."""

from __future__ import annotations

from collections import defaultdict

from tests.support.store_errors import answered_kinds
from zerglings.api.exceptions import known_error
from zerglings.storage.base import (
    CallRejected,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
    TooLarge,
    WriteFailed,
)
from zerglings.storage.couchdb.database import NoDocument, UnreadableAnswer

STORE_FAILED = {StoreUnavailable, CallRejected, NoDocument, UnreadableAnswer}
"""Errors of which a client needs to know the same; only the log tells them apart."""


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


def test_each_store_error_has_a_message_of_its_own_except_those_of_a_failed_store() -> None:
    kinds_by_sentence: dict[str, set[type[StoreError]]] = defaultdict(set)
    for kind in answered_kinds():
        known = known_error(kind.__new__(kind))
        assert known is not None
        kinds_by_sentence[known[1]].add(kind)
    assert [kinds for kinds in kinds_by_sentence.values() if len(kinds) > 1] == [STORE_FAILED]
