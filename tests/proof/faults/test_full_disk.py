"""Tests that the embedded store refuses writes to a full disk, loses nothing, and recovers.

A process limit bounds the file; where a file system may be mounted, that is filled as well.
"""

from __future__ import annotations

import resource
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.backends import Backend, sqlite_backend
from tests.support.service import Reply, Service, workers

ROOM = 16 * 1024
"""Free bytes, enough for a few commands."""

ENOUGH = 200
"""Commands that fill the free space."""


class Commander:
    """A client that commands one zergling with keys, and records acknowledgements."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.id = service.spawn()
        self.acknowledged = 0

    def command(self, key: str | None = None) -> Reply:
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        reply = self._service.call("POST", f"/zerglings/{self.id}", "M", headers)
        self.acknowledged += reply.status == 200
        return reply

    def until_refused(self) -> tuple[str, Reply]:
        """Send commands until one is refused; return its key and the response."""
        for _ in range(ENOUGH):
            key = uuid.uuid4().hex
            if (reply := self.command(key)).status != 200:
                return key, reply
        raise AssertionError("there is always room")

    def shown(self) -> list[str]:
        reply = self._service.call("GET", f"/zerglings/{self.id}/history")
        assert reply.status == 200
        history: list[str] = reply.json.get("commandHistory", [])
        return history


def assert_full_and_then_well(
    service: Service, fill: Callable[[], None], empty: Callable[[], None]
) -> None:
    commander = Commander(service)
    for _ in range(20):
        assert commander.command().status == 200
    fill()
    key, refused = commander.until_refused()
    assert refused.status == 503
    assert refused.headers["Retry-After"]
    assert refused.json["error"].startswith(("The store does not answer;", "The store's answer"))
    assert len(commander.shown()) == commander.acknowledged
    assert service.call("GET", "/healthz").status == 200
    empty()
    assert commander.command(key).status == 200
    assert commander.command().status == 200
    assert commander.shown() == ["M"] * commander.acknowledged
    service.stop()
    service.start()
    assert commander.shown() == ["M"] * commander.acknowledged


def test_a_file_size_limit_loses_nothing(sqlite: Backend, tmp_path: Path) -> None:
    log = Path(f"{sqlite.environment['OVERMIND_SQLITE_PATH']}-wal")
    with Service(sqlite.environment, tmp_path) as service:
        (worker,) = workers(service)
        before = resource.prlimit(worker, resource.RLIMIT_FSIZE)

        def fill() -> None:
            room = log.stat().st_size + ROOM
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (room, before[1]))

        def empty() -> None:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, before)

        assert_full_and_then_well(service, fill, empty)


def mount(*arguments: str) -> bool:
    done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    place = tmp_path / "small"
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)):
        pytest.skip("file systems cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_loses_nothing(small: Path, tmp_path: Path) -> None:
    filler = small / "filler"
    with Service(sqlite_backend(small).environment, tmp_path) as service:

        def fill() -> None:
            with filler.open("wb", buffering=0) as file:
                while True:
                    try:
                        file.write(bytes(4096))
                    except OSError:  # it is full
                        break

        assert_full_and_then_well(service, fill, filler.unlink)


def test_a_read_only_file_system_is_used_again_once_it_is_writable(
    small: Path, tmp_path: Path
) -> None:
    backend = sqlite_backend(small)
    assert mount("-o", "remount,ro", str(small))
    with Service(backend.environment, tmp_path) as service:
        refused = service.call("POST", "/zerglings/")
        assert refused.status == 503
        assert refused.json["error"].startswith("The store")
        assert service.call("GET", "/readyz").status == 503
        assert service.call("GET", "/healthz").status == 200
        assert mount("-o", "remount,rw", str(small))
        assert service.call("POST", "/zerglings/").status == 201
        assert service.call("GET", "/readyz").status == 200
