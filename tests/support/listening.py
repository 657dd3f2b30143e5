"""A client for server-sent events over a real socket, following the WHATWG HTML standard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.support.service import Service


@dataclass(frozen=True)
class Heard:
    """One event of the stream."""

    kind: str
    data: Any
    last_id: str

    @property
    def zergling(self) -> dict[str, Any]:
        zergling: dict[str, Any] = self.data["zergling"]
        return zergling


class Ear:
    """A connection to the event stream; ``last_id`` is the Last-Event-ID for a reconnect."""

    def __init__(
        self,
        service: Service,
        last_id: str = "",
        *,
        path: str = "/events",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._connection = service.connect()
        headers = {"Accept": "text/event-stream", **(headers or {})}
        if last_id:
            headers["Last-Event-ID"] = last_id
        self._connection.request("GET", path, headers=headers)
        self._socket = self._connection.sock  # getresponse() may detach it from the connection
        self.reply = self._connection.getresponse()
        self.last_id = last_id
        self.heartbeats = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.reply.close()
        self._connection.close()

    def leave_after(self, seconds: float) -> None:
        """Make reads raise ``TimeoutError`` after this many seconds without data."""
        self._socket.settimeout(seconds)

    def events(self) -> Iterator[Heard]:
        """Yield events until the stream ends."""
        fields: dict[str, str] = {}
        while line := self.reply.readline():
            text = line.decode().rstrip("\n")
            if text:
                name, _, value = text.partition(": ")
                fields[name] = value
            elif fields["event"] == "heartbeat":
                self.heartbeats += 1
                fields = {}
            else:
                self.last_id = fields.get("id", self.last_id)
                yield Heard(fields["event"], json.loads(fields["data"]), self.last_id)
                fields = {}

    def next(self) -> Heard:
        return next(self.events())
