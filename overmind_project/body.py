"""Reads a request's body before Django does: whole, bounded, and chunked ones too.

Django takes the length from ``Content-Length`` alone, so a chunked body looks empty to it; and a
body that was cut off must never be taken for a shorter one that was meant.
"""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

from overmind_project.refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LIMIT = 64 * 1024
"""Largest request body, in bytes."""

SWARM_LIMIT = 2 * 1024 * 1024
"""Largest body of a whole-swarm call, in bytes."""

SWARM_CALLS = "/swarm/"
"""What the paths of whole-swarm calls begin with."""


class BodyError(Exception):
    """A body that will not be passed on; carries the HTTP status line and a sentence."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class BoundedBody:
    """WSGI middleware: the application behind it finds every body complete, with its length."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, or refuse its body."""
        # A greenlet whose client always has the next request ready would never give way.
        time.sleep(0)
        try:
            body = _read(environ)
        except BodyError as error:
            return refuse(environ, start_response, error.status, str(error))
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return self._application(environ, start_response)


def _read(environ: WSGIEnvironment) -> bytes:
    limit = SWARM_LIMIT if environ["PATH_INFO"].startswith(SWARM_CALLS) else LIMIT
    encoding = environ.get("HTTP_TRANSFER_ENCODING", "").strip().lower()
    is_chunked = encoding == "chunked"
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if encoding and not is_chunked:
        raise BodyError("400 Bad Request", "The only transfer coding known here is chunked.")
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise BodyError("415 Unsupported Media Type", "Send the body as it is, not compressed.")
    if length > limit:
        raise BodyError("413 Content Too Large", f"The body is longer than {limit} bytes.")
    try:
        body: bytes = environ["wsgi.input"].read(limit + 1 if is_chunked else length)
    except OSError as error:
        raise BodyError("400 Bad Request", "The body broke off.") from error
    if len(body) > limit:
        raise BodyError("413 Content Too Large", f"The body is longer than {limit} bytes.")
    if not is_chunked and len(body) < length:
        raise BodyError("400 Bad Request", "The body is shorter than its Content-Length.")
    return body
