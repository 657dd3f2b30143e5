"""Answers of what stands before Django, in the form of all other errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from zerglings.api.caching import NO_STORE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def refuse(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    status: str,
    sentence: str,
    *headers: tuple[str, str],
) -> Iterable[bytes]:
    """Answer a request with a status line and a sentence."""
    answer = orjson.dumps({"error": sentence})
    start_response(
        status,
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(answer))),
            ("Cache-Control", NO_STORE),
            ("X-Content-Type-Options", "nosniff"),
            *headers,
        ],
    )
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer]
