"""Sends requests to Apache CouchDB, for tests of CouchDB's own behaviour."""

from __future__ import annotations

import re

import requests

from tests.support.site import CouchDBServer

Version = tuple[int, ...]

TIMEOUT = 30.0
PASSWORD = "relax"
JSON = {"Content-Type": "application/json"}


class Server:
    """Sends requests to the server, by default with the admin's account."""

    def __init__(self, server: CouchDBServer) -> None:
        self._server = server
        self.admin = server.username, server.password
        self.port = server.port

    def ask(self, method: str, path: str, **options: object) -> requests.Response:
        given: dict[str, object] = {"auth": self.admin, "timeout": TIMEOUT, "headers": JSON}
        return requests.request(method, f"{self._server.url}/{path}", **given | options)  # type: ignore[arg-type]

    @property
    def version(self) -> Version:
        return tuple(
            int(part) for part in re.findall(r"\d+", self.ask("GET", "").json()["version"])
        )
