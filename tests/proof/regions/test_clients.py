"""Tests of what the clients of a campaign send where. No service runs."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence

import pytest

from bench.regions.rig import Region
from bench.stores import CouchDB
from tests.proof.load.ledger import NOTHING_CHANGED, Fate, Message
from tests.proof.regions.clients import RegionClient, RegionSwarm
from tests.support.service import Reply, Service

ATTEMPTS = 10
PORTS = (8081, 8082, 8083)


class AddressOnly(Service):
    """A service that does not run."""

    def __init__(self, port: int) -> None:
        self.port = port


class NoCouchDB(CouchDB):
    """A server that does not run."""

    def __init__(self) -> None:
        pass


class Refused(RegionClient):
    """A client whose attempts are refused, except the last. ``ports`` tells where it sent them."""

    def __init__(self, swarm: RegionSwarm, number: int) -> None:
        super().__init__(swarm, number)
        self.ports: list[int] = []

    def _attempt(
        self, message: Message, talks: Sequence[http.client.HTTPConnection]
    ) -> list[Reply | None]:
        self.ports += [talk.port for talk in talks]
        headers = http.client.HTTPMessage()
        headers["Retry-After"] = "0.001"
        status = 503 if len(self.ports) < ATTEMPTS else 200
        return [Reply(status, headers, json.dumps({"error": NOTHING_CHANGED}).encode())]


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> RegionSwarm:
    """A swarm over three regions, whose clients never give up."""
    monkeypatch.setattr("tests.proof.load.swarm.ABANDONED", 0)
    regions = [Region(str(port), NoCouchDB(), "zerglings", AddressOnly(port)) for port in PORTS]
    return RegionSwarm(regions, clients=3, zerglings=1)


@pytest.mark.parametrize("number", range(3))
def test_a_command_for_a_zergling_of_the_original_is_never_sent_to_another_region(
    swarm: RegionSwarm, number: int
) -> None:
    client = Refused(swarm, number)
    client.command_stranger("an-id")
    assert client.ports == [PORTS[number]] * ATTEMPTS
    (sent,) = swarm.strangers.sent
    assert sent.fate is Fate.ACKNOWLEDGED


def test_other_commands_are_repeated_in_other_regions(swarm: RegionSwarm) -> None:
    client = Refused(swarm, 0)
    client.spawn()
    assert client.ports[0] == PORTS[0]
    assert set(client.ports[1:ATTEMPTS]) <= set(PORTS[1:])
