"""Sends the response of a WSGI application (PEP 3333) as HTTP/1.x."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

    from overmind_project.server.request import Request

_BODILESS = ("204", "304")
_date: tuple[int, str] = (0, "")


class Response:
    """The response to one request.

    Args:
        request: the request.
        send: sends bytes to the client.
        closes: returns whether the connection has to be closed after the response.
    """

    __slots__ = (
        "_closes", "_head", "_is_chunked", "_left", "_request", "_send", "has_begun", "is_kept",
    )  # fmt: skip

    def __init__(
        self, request: Request, send: Callable[[bytes], None], closes: Callable[[], bool]
    ) -> None:
        self._request = request
        self._send = send
        self._closes = closes
        self._head = b""  # not sent yet
        self._is_chunked = False
        self._left: int | None = None  # bytes of the body to be sent; None if there is no bound
        self.has_begun = False  # a part of it was sent
        self.is_kept = request.is_kept

    def run(self, application: WSGIApplication, environ: WSGIEnvironment) -> None:
        """Call the application and send its response.

        Raises:
            Disconnected: the client has disconnected.
            Exception: the application failed.
        """
        parts = application(environ, self.start)
        try:
            for part in parts:
                if part:
                    self._write(part)
            self._finish()
        finally:
            if (close := getattr(parts, "close", None)) is not None:
                close()

    def start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: Any = None,  # noqa: ANN401 - as PEP 3333 passes it
    ) -> Callable[[bytes], None]:
        """Set status and headers. This is the WSGI callable `start_response`."""
        if exc_info is not None and self.has_begun:
            raise exc_info[1]
        request = self._request
        is_bodiless = request.method == "HEAD" or status[:3] in _BODILESS
        self._left = 0 if is_bodiless else None
        fields = ""
        has_length = False
        for name, value in headers:
            fields += f"{name}: {value}\r\n"
            if name.lower() == "content-length":
                has_length = True
                if not is_bodiless:
                    self._left = int(value)
        self._is_chunked = not (has_length or is_bodiless) and request.version == "1.1"
        is_delimited = has_length or is_bodiless or self._is_chunked
        self.is_kept = (
            request.is_kept and request.is_complete and is_delimited and not self._closes()
        )
        if fields.count("\n") != len(headers) or "\r" in fields.replace("\r\n", ""):
            raise ValueError("a header of the response contains a line break")
        chunked = "Transfer-Encoding: chunked\r\n" if self._is_chunked else ""
        self._head = (
            f"HTTP/{request.version} {status}\r\nServer: gunicorn\r\nDate: {_http_date()}\r\n"
            f"Connection: {'keep-alive' if self.is_kept else 'close'}\r\n"
            f"{chunked}{fields}\r\n"
        ).encode("latin-1")
        return self._write

    def _write(self, part: bytes) -> None:
        if self._left is not None:
            part = part[: self._left]
            self._left -= len(part)
        elif self._is_chunked:
            part = b"%x\r\n%b\r\n" % (len(part), part)
        if part or self._head:
            head, self._head = self._head, b""
            self.has_begun = True
            self._send(head + part)

    def _finish(self) -> None:
        if self._left:
            self.is_kept = False
            raise ValueError("the response is shorter than its Content-Length")
        end = b"0\r\n\r\n" if self._is_chunked else b""
        if self._head or end:
            head, self._head = self._head, b""
            self.has_begun = True
            self._send(head + end)


def _http_date() -> str:
    """Return the value of the Date field, which changes once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = now, formatdate(now, usegmt=True)
    return _date[1]
