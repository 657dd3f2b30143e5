"""Starts and stops the servers under load: the service as users start it, and the baseline."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench import process
from bench.errors import BenchError
from bench.stores import Benched, CouchDB

START_LIMIT = 60.0
STOP_LIMIT = 30.0
LOOK_EVERY = 0.05
ANSWER_TIMEOUT = 30.0
"""In seconds, as are the constants above."""

BASELINE_THREADS = 8
HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent
FOREIGN = ("COUCHDB_", "DJANGO_", "OVERMIND_STORE", "OVERMIND_SQLITE", "OVERMIND_TOKENS")
"""Prefixes of variables that the service does not inherit: they select a store or configure access.
Variables that tune the service are inherited."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server on this machine."""

    pid: int
    port: int

    @property
    def origin(self) -> str:
        """The server's base URL."""
        return f"http://{HOST}:{self.port}"

    @property
    def workers(self) -> list[int]:
        """The pids of the worker processes."""
        return process.tree(self.pid)[1:]

    def cpu_seconds(self) -> float:
        """Return the CPU time that all its processes have used."""
        return process.cpu_seconds(self.pid)

    def connect(self, timeout: float = ANSWER_TIMEOUT) -> http.client.HTTPConnection:
        """Return a new connection; ``timeout`` is in seconds, for each socket operation."""
        return http.client.HTTPConnection(HOST, self.port, timeout=timeout)


@contextmanager
def overmind(store: Benched, database: str, checkout: Path) -> Iterator[Server]:
    """Bootstrap a new database and serve it; the database is dropped at the end.

    ``checkout`` is the directory of the service's code.
    """
    with replicas(store, database, checkout, 1) as (server,):
        yield server


@contextmanager
def replicas(
    store: Benched, database: str, checkout: Path, count: int
) -> Iterator[tuple[Server, ...]]:
    """Bootstrap a new database and run ``count`` services on it; it is dropped at the end.

    ``checkout`` is the directory of the service's code.
    """
    environment = store.environment(database)
    try:
        manage("bootstrap_couch", environment=environment, checkout=checkout)
        with ExitStack() as stack:
            yield tuple(stack.enter_context(_serving(environment, checkout)) for _ in range(count))
    finally:
        store.drop(database)


@contextmanager
def baseline(store: CouchDB, database: str, model: str, workers: int) -> Iterator[Server]:
    """Run the baseline over a new database with the settings of the database ``model``."""
    port = _free_port()
    account = ":".join(quote(word, safe="") for word in store.account)
    environment = _environment() | {
        "BASELINE_COUCHDB_URL": store.url.replace("://", f"://{account}@") + "/",
        "BASELINE_COUCHDB_DATABASE": database,
    }
    command = [sys.executable, "-m", "gunicorn", "bench.baseline.wsgi", "--no-control-socket"]
    command += ["--bind", f"{HOST}:{port}", "--worker-class", "gthread", "--keep-alive", "75"]
    command += ["--workers", str(workers), "--threads", str(BASELINE_THREADS)]
    try:
        store.create_like(database, model)
        with _running(command, environment, ROOT, port, "/zerglings/none/") as server:
            yield server
    finally:
        store.drop(database)


def manage(
    *arguments: str,
    environment: Mapping[str, str],
    checkout: Path = ROOT,
    limit: float = START_LIMIT,
) -> str:
    """Run a command of ``manage.py`` on a store; return its output.

    Raises:
        BenchError: the command failed, or took more than ``limit`` seconds.
    """
    try:
        done = subprocess.run(  # nosec B603 # noqa: S603 - no shell, and no untrusted input
            [sys.executable, "manage.py", *arguments],
            cwd=checkout,
            env=_environment() | dict(environment),
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{arguments[0]} took more than {limit:.0f} s") from None
    if done.returncode:
        raise BenchError(f"{arguments[0]} failed: {_last_line(done.stderr)}")
    return done.stdout.strip()


@contextmanager
def _serving(environment: Mapping[str, str], checkout: Path) -> Iterator[Server]:
    port = _free_port()
    address = {"OVERMIND_HTTP_ADDR": f"{HOST}:{port}"}
    whole = _environment() | dict(environment) | address
    serve = [sys.executable, "manage.py", "serve"]
    with _running(serve, whole, checkout, port, "/readyz") as server:
        yield server


@contextmanager
def _running(
    command: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    port: int,
    path: str,
) -> Iterator[Server]:
    """Run a server until the block ends, and discard its access log."""
    with tempfile.TemporaryFile("w+") as errors:
        running = subprocess.Popen(  # nosec B603 # noqa: S603 - no shell, and no untrusted input
            command,
            cwd=directory,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # keep Ctrl-C from the server; the benchmark stops it
        )
        server = Server(running.pid, port)
        try:
            _wait_for(server, path, running, errors.fileno())
            yield server
        finally:
            _stop(running)


def _wait_for(server: Server, path: str, running: subprocess.Popen[bytes], errors: int) -> None:
    end = time.monotonic() + START_LIMIT
    while not _answers(server, path):
        if running.poll() is not None or time.monotonic() > end:
            said = os.pread(errors, 1 << 20, 0).decode(errors="replace")
            raise BenchError(f"a server did not start: {_last_line(said)}")
        time.sleep(LOOK_EVERY)


def _answers(server: Server, path: str) -> bool:
    connection = server.connect(timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < http.client.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(running: subprocess.Popen[bytes]) -> None:
    running.send_signal(signal.SIGTERM)
    try:
        running.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):  # the session contains only the server and its workers
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
