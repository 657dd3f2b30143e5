"""Tests for CouchDB's probes: a node that answers is alive, only a healthy node is ready."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.k8s.render import containers, overlays, render
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault, Hang
from tests.support.ports import free_port
from tests.support.waiting import wait_until

DEADLINE_SECONDS = 30.0

each_overlay = pytest.mark.parametrize("overlay", overlays(), ids=lambda folder: folder.name)
each_probe = pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe"])


def probe_of(overlay: Path, probe: str) -> dict[str, Any]:
    (couchdb,) = [
        each for each in containers(render(overlay), init=False) if each.name == "couchdb"
    ]
    found: dict[str, Any] = couchdb.spec[probe]
    return found


def command(overlay: Path, probe: str, port: int) -> list[str]:
    """Return the probe's command with another port."""
    *shell, script = probe_of(overlay, probe)["exec"]["command"]
    assert "/127.0.0.1/5984 " in script
    return [*shell, script.replace("/5984 ", f"/{port} ")]


def status_of(arguments: list[str]) -> int:
    return subprocess.run(
        arguments, stderr=subprocess.DEVNULL, timeout=DEADLINE_SECONDS, check=False
    ).returncode


@pytest.fixture
def server() -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", 9) as server:
        yield server


@each_overlay
@each_probe
@pytest.mark.parametrize(
    "status",
    [
        pytest.param(200, id="in order"),
        pytest.param(401, id="every request needs an account"),
        pytest.param(404, id="syncs with its seeds, or is in maintenance mode"),
        pytest.param(500, id="has a defect"),
    ],
)
def test_the_liveness_probe_accepts_any_response(
    server: FaultProxy, overlay: Path, probe: str, status: int
) -> None:
    server.fault = Fault(Answer(status))
    assert status_of(command(overlay, probe, server.port)) == 0
    assert [(each.method, each.path) for each in server.requests] == [("GET", "/_up")]


@each_overlay
@each_probe
def test_the_liveness_probe_fails_without_a_response(
    server: FaultProxy, overlay: Path, probe: str
) -> None:
    assert status_of(command(overlay, probe, free_port())) != 0
    release = threading.Event()
    server.fault = Fault(Hang(release))
    with subprocess.Popen(command(overlay, probe, server.port), stderr=subprocess.DEVNULL) as asks:
        wait_until(lambda: bool(server.requests), "the probe has asked")
        assert asks.poll() is None
        release.set()
        assert asks.wait(DEADLINE_SECONDS) != 0


@each_overlay
def test_only_a_healthy_node_is_ready(overlay: Path) -> None:
    assert probe_of(overlay, "readinessProbe")["httpGet"] == {"path": "/_up", "port": "http"}
