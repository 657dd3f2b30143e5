"""Faults that limit request and document sizes as CouchDB and proxies do."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from tests.support.faults import Answer, Fault, Judged
from zerglings.documents import Document
from zerglings.storage.base import TooLarge

JSON = {"Content-Type": "application/json"}


def body_limit(limit: int) -> Fault:
    """Reject longer bodies as a proxy does: a 413 in HTML that names no document."""
    html = Answer(413, b"<html><h1>413 Request Entity Too Large</h1></html>")
    return Fault(Judged(lambda body: html if len(body) > limit else None))


def request_limit(limit: int) -> Fault:
    """Reject longer bodies as CouchDB's ``max_http_request_size`` does."""
    reason = b'{"error":"too_large","reason":"the request entity is too large"}'
    refusal = Answer(413, reason, JSON)
    return Fault(Judged(lambda body: refusal if len(body) > limit else None))


def document_limit(limit: int) -> Fault:
    """Reject a request with a longer document as CouchDB's ``max_document_size`` does."""

    def judge(body: bytes) -> Answer | None:
        content = orjson.loads(body) if body else {}
        is_bulk = isinstance(content.get("docs"), list)
        for document in content["docs"] if is_bulk else [content]:
            if len(orjson.dumps(document)) > limit:
                reason = document.get("_id") if is_bulk else ""
                error = {"error": "document_too_large", "reason": reason}
                return Answer(413, orjson.dumps(error), JSON)
        return None

    return Fault(Judged(judge))


def refusing_over(limit: int) -> Callable[[Document], None]:
    """Return a hook for `FaultyStore` that rejects documents longer than ``limit`` bytes."""

    def refuse(document: Document) -> None:
        if len(orjson.dumps(document)) > limit:
            raise TooLarge("too large", document["_id"])

    return refuse
