"""JSON errors of the middleware in front of Django, in the same form as all other errors."""

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
    """Answer a WSGI request with an error.

    Args:
        environ: the request; HEAD gets no body.
        start_response: the WSGI callable.
        status: the status line, such as `429 Too Many Requests`.
        sentence: the text of `{"error": …}`.
        headers: further headers.
    """
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
