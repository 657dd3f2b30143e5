"""Reads a request's whole body before Django does, up to a limit.

Three properties of Django make this necessary. It ignores chunked bodies, because it relies on
`Content-Length`. It accepts a body that was cut off. And it looks up any `charset` among
Python's codecs: some are not charsets and fail later, and every unknown name stays in a cache.
This module removes the charset, because all bodies are read as UTF-8.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, NamedTuple

from overmind_project.http.error_response import refuse
from overmind_project.server.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LIMIT = 64 * 1024
"""Maximum request body in bytes."""

SWARM_LIMIT = 2 * 1024 * 1024
"""Maximum body of a bulk call in bytes."""

SWARM_CALLS = frozenset(
    ("/swarm/spawn", "/swarm/spawn/", "/swarm/commands", "/swarm/commands/"),
)
"""The paths of the bulk calls."""

BUDGET = 32 * 1024 * 1024
"""Bytes that all bodies over `LIMIT` in one process may take together."""

STEP = 64 * 1024
"""Bytes of a long body that are read at once; its share of the budget grows in the same steps."""

TOO_MANY = "Too many long bodies are being read at once; nothing was changed, so try again."
RETRY_AFTER_HEADER = ("Retry-After", "1")

_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^";\s]{1,200}))', re.IGNORECASE)
"""The separator of form fields, the only parameter of a content type that is kept."""


class BodyError(Exception):
    """A body is rejected. Carries the HTTP status line, the error message and headers."""

    def __init__(self, status: str, sentence: str, *headers: tuple[str, str]) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers


class BoundedBody:
    """WSGI middleware that passes on only complete bodies, with their `Content-Length`."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._budget = _Budget(BUDGET)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Read the body and call the application, or reject the body."""
        try:
            declared = _declared_length(environ)
            if declared.max_bytes > LIMIT:
                return self._answer_long(environ, start_response, declared)
            _read_body(environ, declared)
        except BodyError as error:
            return refuse(environ, start_response, error.status, str(error), *error.headers)
        return self._application(environ, start_response)

    def _answer_long(
        self, environ: WSGIEnvironment, start_response: StartResponse, declared: _DeclaredLength
    ) -> Iterable[bytes]:
        share = _Share(self._budget)
        try:
            _read_body(environ, declared, share)
            answer = self._application(environ, start_response)
        except BaseException:
            share.release()
            raise
        return _BudgetedBody(answer, share.release)


class _Budget:
    """The bytes that are left for long bodies."""

    def __init__(self, size: int) -> None:
        self.free = size


class _Share:
    """The share of one long body in the budget: about as many bytes as it has received.

    Only received bytes count. Otherwise a client that declares a long body and sends nothing could
    block others.
    """

    def __init__(self, budget: _Budget) -> None:
        self._budget = budget
        self._size = 0

    def grow(self) -> None:
        """Take another step from the budget. Fail at once if it is used up: waiting might not end.

        Raises:
            BodyError: the budget is used up.
        """
        if self._budget.free < STEP:
            raise BodyError("503 Service Unavailable", TOO_MANY, RETRY_AFTER_HEADER)
        self._budget.free -= STEP
        self._size += STEP

    def release(self) -> None:
        """Return the whole share to the budget."""
        self._budget.free += self._size
        self._size = 0


class _BudgetedBody:
    """The body of an answer; releases the request's share of the budget at the end."""

    def __init__(self, answer: Iterable[bytes], release: Callable[[], None]) -> None:
        self._answer = answer
        self._release = release

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._answer)

    def close(self) -> None:
        """End the answer. The server calls this even if sending fails."""
        try:
            if (close := getattr(self._answer, "close", None)) is not None:
                close()
        finally:
            self._release()


class _DeclaredLength(NamedTuple):
    """The maximum length of a body according to its headers, and whether it is chunked."""

    max_bytes: int
    is_chunked: bool


def _declared_length(environ: WSGIEnvironment) -> _DeclaredLength:
    limit = SWARM_LIMIT if environ["PATH_INFO"] in SWARM_CALLS else LIMIT
    encoding = environ.get("HTTP_TRANSFER_ENCODING", "").strip().lower()
    is_chunked = encoding == "chunked"
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if encoding and not is_chunked:
        raise BodyError("400 Bad Request", "The only supported transfer coding is chunked.")
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise BodyError("415 Unsupported Media Type", "Send the body as it is, not compressed.")
    if length > limit:
        raise _too_large(limit)
    return _DeclaredLength(limit if is_chunked else length, is_chunked)


def _too_large(limit: int) -> BodyError:
    return BodyError("413 Content Too Large", f"The body is longer than {limit} bytes.")


def _read_body(
    environ: WSGIEnvironment, declared: _DeclaredLength, share: _Share | None = None
) -> None:
    """Read the whole body and put it into the WSGI environment."""
    max_bytes, is_chunked = declared
    wanted = max_bytes + 1 if is_chunked else max_bytes
    if share is None:
        data = _read(environ, wanted)
        body, size = io.BytesIO(data), len(data)
    else:
        body = io.BytesIO()
        size = _read_in_steps(body, environ, wanted, share)
    if size > max_bytes:
        raise _too_large(max_bytes)
    if not is_chunked and size < max_bytes:
        raise BodyError("400 Bad Request", "The body is shorter than its Content-Length.")
    environ["wsgi.input"] = body
    environ["CONTENT_LENGTH"] = str(size)
    if ";" in (content_type := environ.get("CONTENT_TYPE", "")):
        environ["CONTENT_TYPE"] = _without_charset(content_type)


def _without_charset(content_type: str) -> str:
    """Return a content type without its parameters, except for a boundary."""
    media_type = content_type.partition(";")[0].strip().lower()
    found = _BOUNDARY.search(content_type)
    return f'{media_type}; boundary="{found[1] or found[2]}"' if found else media_type


def _read_in_steps(body: io.BytesIO, environ: WSGIEnvironment, wanted: int, share: _Share) -> int:
    """Read a long body step by step, and return its size."""
    size = 0
    while size < wanted and (data := _read(environ, min(STEP, wanted - size))):
        size += body.write(data)
        if size >= LIMIT:
            share.grow()
    body.seek(0)
    return size


def _read(environ: WSGIEnvironment, size: int) -> bytes:
    try:
        body: bytes = environ["wsgi.input"].read(size)
    except RequestError as error:
        raise BodyError(error.status_line, error.sentence, *error.headers) from error
    except OSError as error:
        raise BodyError("400 Bad Request", "The body broke off.") from error
    return body
