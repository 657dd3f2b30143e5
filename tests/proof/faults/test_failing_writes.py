"""Tests with a CouchDB that can read and not write, as on a full or read-only volume."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.support.backends import Backend
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.limits import JSON
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest
from zerglings.hive.hive import Hive
from zerglings.storage.base import WriteFailed

FULL = Answer(500, b'{"error":"error","reason":"internal_server_error"}', JSON)


def is_write(method: str, path: str) -> bool:
    return method == "PUT" or path.endswith("/_bulk_docs")


def test_writes_fail_and_reads_succeed_while_couchdb_cannot_write(
    couch: Backend, proxy: FaultProxy
) -> None:
    with closing(couch.through(proxy.url).open()) as store:
        hive = Hive(store)
        zergling = hive.spawn(Pose())
        proxy.fault = Fault(FULL, matches=is_write)
        with pytest.raises(WriteFailed):
            hive.command(zergling.id, CommandRequest.command("M"))
        with pytest.raises(WriteFailed):
            hive.spawn(Pose())
        assert hive.is_healthy()
        hive.check_ready()
        assert hive.get(zergling.id) == zergling
        proxy.fault = None
        assert hive.command(zergling.id, CommandRequest.command("L")).history == ("L",)
