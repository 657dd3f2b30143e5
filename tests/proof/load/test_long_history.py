"""A million commands that the original left in one document are moved while probes are served."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.documents import write
from tests.support.service import Service
from tests.support.waiting import wait_until
from zerglings.domain.pose import Pose, replay

pytestmark = [pytest.mark.alone, pytest.mark.parametrize("backend", ["sqlite"], indirect=True)]

COMMANDS = 1_000_000
WORST_PROBE = 0.5
"""Seconds: several times what the largest indivisible step, parsing the document, takes."""


class Probe:
    """Requests /healthz continuously and records the slowest response."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.worst = 0.0

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        with closing(self._service.connect()) as connection:
            while not self._stop.wait(0.01):
                began = time.monotonic()
                assert self._service.call("GET", "/healthz", connection=connection).status == 200
                self.worst = max(self.worst, time.monotonic() - began)


def test_a_million_commands_of_the_original_are_moved_without_delaying_probes(
    backend: Backend, tmp_path: Path
) -> None:
    words = list(islice(cycle("MMLMRR"), COMMANDS))
    end = replay(Pose(), words)
    id_ = str(uuid.uuid4())
    pose = {"location": {"x": end.x, "y": end.y}, "facing": end.facing}
    store = backend.open()
    write(store, {"_id": id_, "id": id_, **pose, "commandHistory": words})
    with Service(backend.environment, tmp_path) as service, Probe(service) as probe:

        def moves() -> bool:
            status = service.call("POST", f"/zerglings/{id_}", '"M"').status
            assert status in (200, 503)
            return status == 200

        wait_until(moves, "it is moved", seconds=120)
        history = service.call("GET", f"/zerglings/{id_}/history").json["commandHistory"]
        assert len(history) == COMMANDS + 1
        assert service.call("DELETE", f"/zerglings/{id_}").status == 204
    assert probe.worst < WORST_PROBE
    store.close()
