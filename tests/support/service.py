"""Runs the service under gunicorn in child processes and calls it over HTTP on a loopback port."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SERVE = ("manage.py", "serve")
GUNICORN = ("-m", "gunicorn", "-c", "python:overmind_project.gunicorn_conf")
"""What ``SERVE`` becomes after its check of the settings; without that check it starts faster."""

START_DEADLINE_SECONDS = 60.0
STOP_DEADLINE_SECONDS = 30.0
CALL_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Reply:
    """A response of the service."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """A running service, which can be stopped and started again on its port.

    ``checkout`` is the directory of its code and ``python`` its interpreter; by default this
    test's. ``program`` is the command line to start, ``host`` the address to listen on, and
    ``start_timeout`` the seconds that a start may take.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        directory: Path,
        *,
        checkout: Path = ROOT,
        python: str = sys.executable,
        program: tuple[str, ...] = GUNICORN,
        host: str = "127.0.0.1",
        start_timeout: float = START_DEADLINE_SECONDS,
    ) -> None:
        self._checkout = checkout
        self._python = python
        self._program = program
        self._start_timeout = start_timeout
        self.port = free_port()
        self._log = directory / "service.log"
        address = {"OVERMIND_HTTP_ADDR": f"{host}:{self.port}"}
        self._environment = clean_environment() | address | dict(environment)
        self.start()

    @property
    def command(self) -> tuple[str, ...]:
        """The command line of the process."""
        return (self._python, *self._program)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the service and wait until it responds."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self._checkout,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_it_answers()

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal, by default an orchestrator's SIGTERM, and wait for the end."""
        self._process.send_signal(by)
        try:
            self._process.wait(STOP_DEADLINE_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_TIMEOUT_SECONDS)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        connection: http.client.HTTPConnection | None = None,
    ) -> Reply:
        """Send a request; like curl, send a body with the form content type by default."""
        sent = dict(headers or {})
        if body is not None:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        talk = connection or self.connect()
        try:
            talk.request(method, path, body, sent)
            response = talk.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            if connection is None:
                talk.close()

    def spawn(self) -> str:
        """Spawn a zergling at the origin and return its id."""
        id_: str = self.call("POST", "/zerglings/").json["zergling"]["id"]
        return id_

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self._start_timeout
        while True:
            try:
                if self.call("GET", "/healthz").status == 200:
                    return
            except OSError:
                assert self._process.poll() is None, f"the service ended:\n{self.log}"
                assert time.monotonic() < deadline, f"the service does not answer:\n{self.log}"
                time.sleep(0.02)  # between two attempts


def workers(service: Service) -> list[int]:
    """Return the process ids of a service's workers: those with a parent in the service."""
    parents = processes(service)
    return [pid for pid, parent in parents.items() if parent in parents]


def processes(service: Service) -> dict[int, int]:
    """Return a service's running processes, as a mapping of process id to parent id."""
    return dict(living_processes(f"OVERMIND_HTTP_ADDR=127.0.0.1:{service.port}".encode()))


def living_processes(mark: bytes) -> Iterator[tuple[int, int]]:
    """Yield process and parent id of each running process with ``mark`` in its environment."""
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            has_mark = mark in (place / "environ").read_bytes().split(b"\0")
            state, parent, *_ = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile, or belongs to another user
            continue
        if has_mark and state != "Z":
            yield int(place.name), int(parent)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without any setting of the service."""
    ours = ("OVERMIND_", "COUCHDB_", "DJANGO_", "WEB_CONCURRENCY")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
