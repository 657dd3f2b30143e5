"""Reads a request's body before Django does: whole, bounded, and chunked ones too.

Django takes the length from ``Content-Length`` alone, so a chunked body looks empty to it; and a
body that was cut off must never be taken for a shorter one that was meant. And Django looks up
whatever ``charset`` a client names among Python's codecs, of which some are no charsets and fail
later, and which remember for ever each name that they did not know; here every body is UTF-8.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, NamedTuple

from gunicorn.http.errors import ParseException

from overmind_project.http.error_response import refuse
from overmind_project.server.connection import Connection
from overmind_project.server.malformed import REFUSALS, CrowdedOut, TooMuchFraming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LIMIT = 64 * 1024
"""Largest request body, in bytes."""

SWARM_LIMIT = 2 * 1024 * 1024
"""Largest body of a whole-swarm call, in bytes."""

SWARM_CALLS = frozenset(
    ("/swarm/spawn", "/swarm/spawn/", "/swarm/commands", "/swarm/commands/"),
)
"""The paths of whole-swarm calls."""

BUDGET = 32 * 1024 * 1024
"""Bytes of bodies over ``LIMIT`` that one process takes in at once."""

STEP = 64 * 1024
"""Bytes by which a long body is taken in, and by which it takes of the budget."""

TOO_MANY = "Too many long bodies are being read at once; nothing was changed, so try again."
RETRY_AFTER = ("Retry-After", "1")

_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^";\s]{1,200}))', re.IGNORECASE)
"""What separates the fields of a form: the one parameter of a content type that matters here."""


class BodyError(Exception):
    """A body that will not be passed on; carries the HTTP status line, a sentence and headers."""

    def __init__(self, status: str, sentence: str, *headers: tuple[str, str]) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers


class BoundedBody:
    """WSGI middleware: the application behind it finds every body complete, with its length."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._budget = _Budget(BUDGET)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, or refuse its body."""
        try:
            announced = _announced(environ)
            if announced.most > LIMIT:
                return self._answer_to_long(environ, start_response, announced)
            _take_in(environ, announced)
        except BodyError as error:
            if isinstance(connection := environ.get("gunicorn.socket"), Connection):
                connection.refuse()  # what is left of the body would pass for the next request
            return refuse(environ, start_response, error.status, str(error), *error.headers)
        return self._application(environ, start_response)

    def _answer_to_long(
        self, environ: WSGIEnvironment, start_response: StartResponse, announced: _Announced
    ) -> Iterable[bytes]:
        share = _Share(self._budget)
        try:
            _take_in(environ, announced, share)
            answer = self._application(environ, start_response)
        except BaseException:
            share.release()
            raise
        return _Answer(answer, share.release)


class _Budget:
    """What is left for long bodies."""

    def __init__(self, size: int) -> None:
        self.free = size


class _Share:
    """What one long body has taken of the budget: about as much as has come of it.

    What it announces takes nothing, or others could be kept out by who sends nothing.
    """

    def __init__(self, budget: _Budget) -> None:
        self._budget = budget
        self._size = 0

    def grow(self) -> None:
        """Take another step, or refuse the body; waiting for one could take for ever."""
        if self._budget.free < STEP:
            raise BodyError("503 Service Unavailable", TOO_MANY, RETRY_AFTER)
        self._budget.free -= STEP
        self._size += STEP

    def release(self) -> None:
        """Give all of it back."""
        self._budget.free += self._size
        self._size = 0


class _Answer:
    """An answer that gives back what its request took of the budget."""

    def __init__(self, answer: Iterable[bytes], release: Callable[[], None]) -> None:
        self._answer = answer
        self._release = release

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def close(self) -> None:
        """End the answer, which the server does in any case."""
        try:
            if (close := getattr(self._answer, "close", None)) is not None:
                close()
        finally:
            self._release()


class _Announced(NamedTuple):
    """What the head says of its body: the most bytes that it may have, and how they come."""

    most: int
    is_chunked: bool


def _announced(environ: WSGIEnvironment) -> _Announced:
    limit = SWARM_LIMIT if environ["PATH_INFO"] in SWARM_CALLS else LIMIT
    encoding = environ.get("HTTP_TRANSFER_ENCODING", "").strip().lower()
    is_chunked = encoding == "chunked"
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if encoding and not is_chunked:
        raise BodyError("400 Bad Request", "The only transfer coding known here is chunked.")
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise BodyError("415 Unsupported Media Type", "Send the body as it is, not compressed.")
    if length > limit:
        raise _too_large(limit)
    return _Announced(limit if is_chunked else length, is_chunked)


def _too_large(limit: int) -> BodyError:
    return BodyError("413 Content Too Large", f"The body is longer than {limit} bytes.")


def _take_in(environ: WSGIEnvironment, announced: _Announced, share: _Share | None = None) -> None:
    """Put the whole body where the application looks for it."""
    most, is_chunked = announced
    wanted = most + 1 if is_chunked else most
    if share is None:
        data = _bytes_of(environ, wanted)
        body, size = io.BytesIO(data), len(data)
    else:
        body = io.BytesIO()
        size = _fill(body, environ, wanted, share)
    if size > most:
        raise _too_large(most)
    if not is_chunked and size < most:
        raise BodyError("400 Bad Request", "The body is shorter than its Content-Length.")
    environ["wsgi.input"] = body
    environ["CONTENT_LENGTH"] = str(size)
    if ";" in (content_type := environ.get("CONTENT_TYPE", "")):
        environ["CONTENT_TYPE"] = _without_charset(content_type)


def _without_charset(content_type: str) -> str:
    """Return a content type with no parameter but a boundary."""
    media_type = content_type.partition(";")[0].strip().lower()
    found = _BOUNDARY.search(content_type)
    return f'{media_type}; boundary="{found[1] or found[2]}"' if found else media_type


def _fill(body: io.BytesIO, environ: WSGIEnvironment, wanted: int, share: _Share) -> int:
    """Take in a long body step by step, and return its size."""
    size = 0
    while size < wanted and (data := _bytes_of(environ, min(STEP, wanted - size))):
        size += body.write(data)
        if size >= LIMIT:
            share.grow()
    body.seek(0)
    return size


def _bytes_of(environ: WSGIEnvironment, size: int) -> bytes:
    try:
        body: bytes = environ["wsgi.input"].read(size)
    except ParseException as error:
        raise BodyError("400 Bad Request", "The chunks of the body are malformed.") from error
    except TooMuchFraming as error:
        raise BodyError("413 Content Too Large", "The chunks of the body are too small.") from error
    except TimeoutError as error:
        raise BodyError("408 Request Timeout", "The body came too slowly.") from error
    except CrowdedOut as error:
        sentence = REFUSALS[CrowdedOut].sentence
        raise BodyError("503 Service Unavailable", sentence, RETRY_AFTER) from error
    except OSError as error:
        raise BodyError("400 Bad Request", "The body broke off.") from error
    return body
