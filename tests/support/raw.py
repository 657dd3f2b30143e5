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
    """One HTTP response, parsed."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


def line_to(service: Service) -> socket.socket:
    """Return a new connection with a timeout of ``READ_LIMIT`` seconds."""
    return socket.create_connection(("127.0.0.1", service.port), timeout=READ_LIMIT)


def probe(line: socket.socket) -> None:
    """Request /healthz on a connection and read the response, which leaves the connection idle."""
    line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    read_until(line, b'{"status":"ok"}')


def read_until(line: socket.socket, ending: bytes) -> bytes:
    """Return the bytes up to ``ending``; the service must send nothing after it."""
    data = b""
    while not data.endswith(ending):
        part = line.recv(65536)
        assert part, data
        data += part
    return data


def all_from(line: socket.socket) -> bytes:
    """Return all bytes until the service closes the connection.

    Raises:
        OSError: if it does not close in time, or resets the connection.
    """
    return b"".join(iter(lambda: line.recv(65536), b""))


def answers_in(data: bytes, method: str = "GET") -> list[Answer]:
    """Parse complete HTTP responses from bytes."""
    stream, answers = _Stream(data), []
    while stream.tell() < len(data):
        response = http.client.HTTPResponse(stream, method=method)  # type: ignore[arg-type]  # read from only
        response.begin()
        body = response.read()
        answers.append(Answer(response.status, response.headers, body))
    return answers


def sent(service: Service, *parts: bytes, method: str = "GET") -> list[Answer]:
    """Send bytes on a new connection; return all responses until the service closes it."""
    with line_to(service) as line:
        for part in parts:
            line.sendall(part)
        return answers_in(all_from(line), method)


class _Stream(io.BytesIO):
    """Acts as a socket for http.client: reads from bytes, and stays open after each response."""

    def makefile(self, _mode: str) -> _Stream:
        return self

    def close(self) -> None:
        pass
