"""Calls the WSGI application in this process with the environment that gunicorn would give it.

Headers and paths can hold what no client library would send. Callers must leave out what no server
would pass on: a line break in a header, a path that is not ASCII.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from overmind_project.wsgi import application

STREAM_PARTS = 1
"""Parts that are read of an endless response."""


@dataclass(frozen=True)
class Call:
    """A request: its target as in the request line, its headers as sent."""

    method: str
    target: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """The application's response; header names in lower case, repeated ones in order."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name.lower()), None)

    @property
    def media_type(self) -> str:
        return (self.header("content-type") or "").partition(";")[0]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def answer_to(call: Call) -> Reply:
    """Send a request to the application; errors that it does not handle are raised."""
    began: list[tuple[str, list[tuple[str, str]]]] = []

    def start(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        began.append((status, headers))
        return lambda data: None

    parts = application(environment(call), start)
    try:
        body = b"".join(_parts_of(parts, began))
        status, headers = began[-1]
    finally:
        if (close := getattr(parts, "close", None)) is not None:
            close()
    lowered = tuple((name.lower(), value) for name, value in headers)
    return Reply(int(status[:3]), lowered, body)


def _parts_of(
    parts: Iterable[bytes], began: list[tuple[str, list[tuple[str, str]]]]
) -> Iterator[bytes]:
    for number, part in enumerate(parts, 1):
        yield part
        if ("Content-Type", "text/event-stream") in began[-1][1] and number >= STREAM_PARTS:
            return


def environment(call: Call) -> dict[str, Any]:
    """Return the WSGI environment that gunicorn makes of a request."""
    path, _, query = call.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": call.method,
        "RAW_URI": call.target,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost:8080",
        "CONTENT_LENGTH": str(len(call.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(call.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in call.headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return environ
