"""Parses HTTP/1.x requests with llhttp (the package httptools) and makes WSGI environments of them.

llhttp rejects what could be read in two ways, such as a request with both Content-Length and
Transfer-Encoding. The size limits, the Host field and the version are checked here. Requests to
change the protocol are not passed on to llhttp, which would take their bodies for the new protocol.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import httptools

from overmind_project.server import limits
from overmind_project.server.errors import RequestError, malformed

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_HEAD_END = b"\r\n\r\n"

_UPGRADE = re.compile(rb"(?<=\r\n)upgrade(?=:)", re.IGNORECASE)

_KEYS = {
    name: f"HTTP_{name.decode().upper().replace('-', '_')}"
    for name in (
        *(b"Host", b"User-Agent", b"Accept", b"Accept-Encoding", b"Accept-Language"),
        *(b"Authorization", b"Connection", b"Cookie", b"Idempotency-Key", b"If-Match"),
        *(b"If-None-Match", b"Origin", b"X-Request-ID", b"X-Forwarded-For", b"traceparent"),
    )
} | {b"Content-Type": "CONTENT_TYPE", b"Content-Length": "CONTENT_LENGTH"}
"""The WSGI keys of common fields, in the usual spelling of their names."""


class Request:
    """One request, of which at least the head has been received.

    `body` holds the part of the body that was received and not yet read.
    """

    __slots__ = (
        "body", "expects_continue", "fields", "framed", "is_chunked", "is_complete", "is_kept",
        "length", "method", "target", "trailers", "version",
    )  # fmt: skip

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.trailers = 0
        self.method = self.version = ""
        self.is_kept = False  # the client keeps the connection open after the response
        self.expects_continue = False
        self.is_chunked = False
        self.length = 0  # bytes of a body that is not chunked
        self.framed = 0  # bytes received of the body, with the framing of its chunks
        self.body = bytearray()
        self.is_complete = False

    def read_fields(self) -> None:
        """Take what the connection needs from the fields.

        Raises:
            RequestError: the request is ambiguous, or expects what is not supported.
        """
        hosts = 0
        for name, value in self.fields:
            match name.lower():
                case b"host":
                    hosts += 1
                case b"transfer-encoding":
                    self.is_chunked = True
                case b"content-length":
                    self.length = int(value)
                case b"expect" if self.version != "1.0":
                    _check_expectation(value)
                    self.expects_continue = True
        if hosts > 1:
            raise malformed("There is more than one Host field.")
        if self.is_chunked and self.version == "1.0":
            raise malformed("HTTP/1.0 has no Transfer-Encoding.")

    def wsgi_environment(self, base: WSGIEnvironment) -> WSGIEnvironment:
        """Return the WSGI environment (PEP 3333) without `wsgi.input`.

        Args:
            base: the values that all requests of the connection share.

        Raises:
            RequestError: the request's head is invalid.
        """
        environ = base.copy()
        for name, value in self.fields:
            key = _KEYS.get(name) or _key(name)
            if key is None:
                continue
            text = value.decode("latin-1").strip(" \t")
            if key in environ:
                text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
            environ[key] = text
        if "HTTP_HOST" not in environ and self.version != "1.0":
            raise malformed("HTTP/1.1 requires a Host field.")
        target = self.target.decode("ascii")
        path, _, query = target.partition("?")
        if not path.startswith("/") and target != "*":
            scheme, _, rest = path.partition("://")
            if scheme.lower() not in ("http", "https"):
                raise malformed("Invalid target: send a path.")
            environ["HTTP_HOST"], _, rest = rest.partition("/")  # RFC 9112, section 3.2.2
            path = f"/{rest}"
        if "%" in path:
            path = unquote_to_bytes(path).decode("latin-1")
        environ["REQUEST_METHOD"] = self.method
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        environ["SERVER_PROTOCOL"] = f"HTTP/{self.version}"
        return environ


def _check_expectation(value: bytes) -> None:
    if value.strip().lower() != b"100-continue":
        raise malformed(
            "The only supported expectation is 100-continue.", HTTPStatus.EXPECTATION_FAILED
        )


def _key(name: bytes) -> str | None:
    """Return the WSGI key of a field; None for a name with "_", which could imitate another."""
    if b"_" in name:
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


class RequestParser:
    """Parses the requests of one connection from the bytes that `buffer` collects.

    Each call of llhttp gets one head, or part of one body. The end of a chunked body is known only
    after its bytes have been parsed. If they contain the beginning of another request, the
    connection is closed after the response.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()
        self._searched = 0  # bytes of the buffer that do not contain the end of a head
        self._parser = httptools.HttpRequestParser(self)
        self._current = Request()
        self._is_in_body = False

    def close(self) -> None:
        """Break the reference cycle with httptools, which would keep the buffers in memory."""
        del self._parser
        self.buffer.clear()

    def next_request(self) -> Request | None:
        """Return the next request once its head has been received, else None.

        The body of the previous request must be complete.

        Raises:
            RequestError: the head is malformed or too long.
        """
        buffer = self.buffer
        if buffer.startswith(b"\r\n"):  # RFC 9112, section 2.2
            del buffer[:2]
        end = buffer.find(_HEAD_END, max(0, self._searched - len(_HEAD_END) + 1))
        self._searched = len(buffer)
        size = len(buffer) if end < 0 else end + len(_HEAD_END)
        line = buffer.find(b"\r\n", 0, limits.MAX_LINE_BYTES + 2)
        if line < 0 and size > limits.MAX_LINE_BYTES:
            raise malformed("The URL is too long.", HTTPStatus.REQUEST_URI_TOO_LONG)
        if size > limits.MAX_HEAD_BYTES:
            raise _head_too_large()
        if end < 0:
            return None
        data = bytes(buffer[:size])
        del buffer[:size]
        self._searched = 0
        return self._request_of(data, data[:line])

    def parse_body(self, request: Request) -> bool:
        """Parse more of a request's body from the buffer; return whether there was any.

        Raises:
            RequestError: the framing of the chunks is malformed or far longer than the data.
        """
        size = limits.CHUNKED_BYTES if request.is_chunked else request.length - request.framed
        data = bytes(self.buffer[:size])
        del self.buffer[: len(data)]
        request.framed += len(data)
        before = len(request.body)
        try:
            self._feed(data)
        except RequestError:
            if not request.is_complete:
                raise
            request.is_kept = False  # something follows the body
        if request.framed > limits.MAX_FRAMED_BYTES:
            raise malformed(
                "The chunks of the body are too small.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            )
        is_framing = request.is_chunked and len(request.body) == before
        if is_framing and not request.is_complete and len(data) == limits.CHUNKED_BYTES:
            raise malformed("The chunks of the body are malformed: the framing is too long.")
        return bool(data)

    def _request_of(self, head: bytes, line: bytes) -> Request:
        if line.startswith(b"CONNECT "):
            raise malformed("CONNECT is not supported.", HTTPStatus.NOT_IMPLEMENTED)
        self._is_in_body = False
        self._feed(_UPGRADE.sub(b"X-Ignored-Upgrade", head))
        request = self._current
        if not request.method:
            raise malformed("This is not an HTTP request.")
        if not line.rpartition(b" ")[2].startswith(b"HTTP/1."):
            raise malformed("Unsupported HTTP version: send HTTP/1.1.")
        self._is_in_body = True
        return request

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserInvalidMethodError:
            method = data.partition(b" ")[0]
            if method.isalpha() and method.isupper():
                raise malformed("Unknown HTTP method.", HTTPStatus.NOT_IMPLEMENTED) from None
            raise malformed("Invalid HTTP method: send a word in capitals.") from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise malformed(f"This is not an HTTP/1.1 request: {error}.") from None

    # The callbacks of httptools.

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._is_in_body:
            raise malformed("A request follows a chunked body.")
        self._current = Request()

    def on_url(self, part: bytes) -> None:
        """Take a part of the target."""
        self._current.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header or trailer field."""
        request = self._current
        if request.method:  # the head is complete, so this is a trailer
            request.trailers += 1
            if request.trailers > limits.MAX_FIELDS:
                raise malformed("There are too many trailer fields.")
            return
        if len(name) + len(value) + len(": \r\n") > limits.MAX_LINE_BYTES:
            raise _head_too_large()
        if len(request.fields) == limits.MAX_FIELDS:
            raise _head_too_large()
        request.fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Complete the request's head."""
        request, parser = self._current, self._parser
        request.method = parser.get_method().decode("ascii")
        request.version = parser.get_http_version()
        request.is_kept = parser.should_keep_alive()
        request.read_fields()

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        self._current.body += data

    def on_message_complete(self) -> None:
        """Note that the body is complete."""
        self._current.is_complete = True


def _head_too_large() -> RequestError:
    return malformed(
        "There are too many header fields, or they are too long.",
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    )
