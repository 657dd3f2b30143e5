"""Raw TCP connections to the service, and a parser for the HTTP responses read from them."""

from __future__ import annotations

import http.client
import io
import socket
from typing import Any, NamedTuple

import orjson

from tests.support.service import Service

READ_LIMIT = 30.0


class Answer(NamedTuple):
    """One answer, as it came over the line."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


def line_to(service: Service) -> socket.socket:
    """Return a connection, each wait on which is bounded."""
    return socket.create_connection(("127.0.0.1", service.port), timeout=READ_LIMIT)


def probe(line: socket.socket) -> None:
    """Ask for the health on a connection and read the answer, after which it is idle."""
    line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    read_until(line, b'{"status":"ok"}')


def read_until(line: socket.socket, ending: bytes) -> bytes:
    """Return what comes up to these bytes, after which the service waits for the next request."""
    data = b""
    while not data.endswith(ending):
        part = line.recv(65536)
        assert part, data
        data += part
    return data


def all_from(line: socket.socket) -> bytes:
    """Return what comes until the service closes the connection.

    Raises:
        OSError: it does not, or not in order.
    """
    return b"".join(iter(lambda: line.recv(65536), b""))


def answers_in(data: bytes, method: str = "GET") -> list[Answer]:
    """Return the answers that the data holds, which must be whole."""
    stream, answers = _Stream(data), []
    while stream.tell() < len(data):
        response = http.client.HTTPResponse(stream, method=method)  # type: ignore[arg-type]  # read from only
        response.begin()
        body = response.read()
        answers.append(Answer(response.status, response.headers, body))
    return answers


def sent(service: Service, *parts: bytes, method: str = "GET") -> list[Answer]:
    """Send bytes on a new connection and return the answers until its end, of which it waits."""
    with line_to(service) as line:
        for part in parts:
            line.sendall(part)
        return answers_in(all_from(line), method)


class _Stream(io.BytesIO):
    """Stands for a socket whose file is itself, and stays open behind each answer."""

    def makefile(self, _mode: str) -> _Stream:
        return self

    def close(self) -> None:
        pass
