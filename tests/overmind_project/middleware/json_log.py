"""Reads the JSON log of a running service, and sends it raw bytes."""

from __future__ import annotations

import json
import socket
import uuid
from typing import Any

from tests.support.service import Service
from tests.support.waiting import wait_until

PROCESSES = 4
"""Workers of the shared service."""

DEADLINE_SECONDS = 20.0
JSON_LOG = {"OVERMIND_LOG_FORMAT": "json"}
Line = dict[str, Any]


def lines(service: Service) -> list[Line]:
    """Return the complete lines of a JSON log."""
    return [json.loads(line) for line in service.log.split("\n")[:-1] if line]


def lines_of(service: Service, request_id: str) -> list[Line]:
    """Return the lines of a request, once its access log line is there."""

    def found() -> list[Line]:
        return [line for line in lines(service) if line.get("request_id") == request_id]

    wait_until(lambda: any("status" in line for line in found()), f"a line of {request_id}")
    return found()


def answered(service: Service, method: str, path: str, **headers: str) -> Line:
    """Send a request and return its line of the log."""
    request_id = uuid.uuid4().hex
    service.call(method, path, headers={"X-Request-ID": request_id} | headers)
    (line,) = [line for line in lines_of(service, request_id) if "status" in line]
    return line


def sent_raw(service: Service, data: bytes) -> bytes:
    """Send bytes, close the sending side, and return the response."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))
