"""Starts, stops and kills pouchdb-server, a real server that speaks the CouchDB protocol.

It knows nothing of what a test stores in it. `tests/peer/install.sh` installs the server.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
import subprocess
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.support.node import find_node
from tests.support.ports import free_port

ENTRY_POINT = (
    Path(__file__).resolve().parents[1] / "peer/node_modules/pouchdb-server/bin/pouchdb-server"
)
START_DEADLINE_SECONDS = 30.0
STOP_DEADLINE_SECONDS = 5.0
ANSWER_TIMEOUT_SECONDS = 1.0
POLL_SECONDS = 0.02
OUTPUT_TAIL_CHARACTERS = 2000


class PeerError(RuntimeError):
    """The peer is missing or did not start; the message has the remedy or the peer's output."""


class Peer:
    """One server process on a loopback port, with its files in one directory.

    It differs from CouchDB in two ways. With an admin set, a PUT of a database without the admin's
    credentials ends the process (CouchDB answers 401). A restart without `persistent` loses every
    database, as the data is in memory.
    """

    def __init__(
        self, directory: Path, *, persistent: bool, port: int, admin: tuple[str, str] | None
    ) -> None:
        self.directory = directory
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._persistent = persistent
        self._admin = admin
        self._uuid = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        persistent: bool = False,
        port: int | None = None,
        admin: tuple[str, str] | None = None,
    ) -> Self:
        """Start a peer and return it once it answers.

        `directory` (created if missing) takes its configuration, its output and, if `persistent`,
        its data. `port` is a free one by default. `admin` is a name and a password; without it
        every client is an admin. Raises PeerError.
        """
        peer = cls(
            directory.resolve(), persistent=persistent, port=port or free_port(), admin=admin
        )
        peer._write_config()
        peer._launch()
        return peer

    def stop(self) -> None:
        """Stop the process with SIGTERM, and with SIGKILL if it does not end in time."""
        if self._process is None:
            return
        self._settle()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_DEADLINE_SECONDS)
        self._reap(self._process)

    def kill(self) -> None:
        """Kill the process with SIGKILL, to simulate a lost machine."""
        if self._process is None:
            return
        self._settle()
        self._reap(self._process)

    @property
    def pid(self) -> int | None:
        """The process id; only while the process runs."""
        return self._process.pid if self._process else None

    def restart(self) -> None:
        """Restart the process, running or not, with the same port and directory."""
        self.stop()
        self._launch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _config_file(self) -> Path:
        return self.directory / "config.json"

    @property
    def _output_file(self) -> Path:
        return self.directory / "output.txt"

    def _write_config(self) -> None:
        config: dict[str, dict[str, str]] = {"couchdb": {"uuid": self._uuid}}
        if self._admin:
            name, password = self._admin
            # Hashed here: the server would hash a plain password only some time after it
            # has started to listen.
            config["admins"] = {name: _hashed(password)}
        self.directory.mkdir(parents=True, exist_ok=True)
        self._config_file.write_text(json.dumps(config))

    def _launch(self) -> None:
        if not ENTRY_POINT.exists():
            raise PeerError("pouchdb-server is not installed: run `make test`, which installs it")
        storage = ["--dir", str(self.directory / "data")] if self._persistent else ["--in-memory"]
        with self._output_file.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    str(find_node()),
                    str(ENTRY_POINT),
                    "--no-stdout-logs",
                    *storage,
                    *("--config", str(self._config_file), "--port", str(self.port)),
                ],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self._reap(self._process)
            raise

    def _settle(self) -> None:
        """Wait until the databases created so far would survive the process, as CouchDB's do.

        The server answers the PUT of a database before it has stored the name. The request for the
        list of names waits for that.
        """
        if self._persistent:
            self._get("/_all_dbs")

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        self._process = None

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while not self._answers():
            with suppress(subprocess.TimeoutExpired):
                exit_status = process.wait(POLL_SECONDS)
                raise PeerError(f"the peer ended with status {exit_status}{self._output_tail()}")
            if time.monotonic() > deadline:
                raise PeerError(
                    f"no answer within {START_DEADLINE_SECONDS:.0f} s{self._output_tail()}"
                )

    def _answers(self) -> bool:
        """Return whether this peer answers, and not another server on the same port."""
        status, body = self._get("/")
        return status == 200 and self._uuid in body

    def _get(self, path: str) -> tuple[int | None, str]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=ANSWER_TIMEOUT_SECONDS
        )
        try:
            connection.request("GET", path, headers=_basic_auth(self._admin))
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return None, ""
        finally:
            connection.close()

    def _output_tail(self) -> str:
        output = self._output_file.read_text(errors="replace")[-OUTPUT_TAIL_CHARACTERS:]
        return f"; its output on port {self.port} ends with:\n{output}"


def _hashed(password: str) -> str:
    """Return the password's hash in the format of CouchDB's configuration."""
    salt, iterations = secrets.token_hex(16), 10
    key = hashlib.pbkdf2_hmac("sha1", password.encode(), salt.encode(), iterations, 20)
    return f"-pbkdf2-{key.hex()},{salt},{iterations}"


def _basic_auth(admin: tuple[str, str] | None) -> dict[str, str]:
    if admin is None:
        return {}
    token = base64.b64encode(":".join(admin).encode()).decode()
    return {"Authorization": f"Basic {token}"}
