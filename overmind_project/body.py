"""Reads a request's body before Django does: whole, bounded, and chunked ones too.

Django takes the length from ``Content-Length`` alone, so a chunked body looks empty to it; and a
body that was cut off must never be taken for a shorter one that was meant. And Django looks up
whatever ``charset`` a client names among Python's codecs, of which some are no charsets and fail
later, and which remember for ever each name that they did not know; here every body is UTF-8.
"""

from __future__ import annotations

import io
import re
import time
from typing import TYPE_CHECKING

from gunicorn.http.errors import ParseException

from overmind_project.connection import Connection
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


_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^";\s]{1,200}))', re.IGNORECASE)
"""What separates the fields of a form: the one parameter of a content type that matters here."""


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
            if isinstance(connection := environ.get("gunicorn.socket"), Connection):
                connection.refuse()  # what is left of the body would pass for the next request
            return refuse(environ, start_response, error.status, str(error))
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        if ";" in (content_type := environ.get("CONTENT_TYPE", "")):
            environ["CONTENT_TYPE"] = _without_charset(content_type)
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
    body = _bytes_of(environ, limit + 1 if is_chunked else length)
    if len(body) > limit:
        raise BodyError("413 Content Too Large", f"The body is longer than {limit} bytes.")
    if not is_chunked and len(body) < length:
        raise BodyError("400 Bad Request", "The body is shorter than its Content-Length.")
    return body


def _without_charset(content_type: str) -> str:
    """Return a content type with no parameter but a boundary."""
    media_type = content_type.partition(";")[0].strip().lower()
    found = _BOUNDARY.search(content_type)
    return f'{media_type}; boundary="{found[1] or found[2]}"' if found else media_type


def _bytes_of(environ: WSGIEnvironment, size: int) -> bytes:
    try:
        body: bytes = environ["wsgi.input"].read(size)
    except ParseException as error:
        raise BodyError("400 Bad Request", "The chunks of the body are malformed.") from error
    except TimeoutError as error:
        raise BodyError("408 Request Timeout", "The body came too slowly.") from error
    except OSError as error:
        raise BodyError("400 Bad Request", "The body broke off.") from error
    return body
