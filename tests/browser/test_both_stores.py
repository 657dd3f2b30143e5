"""Tests that the map shows changes made elsewhere, over either store."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Spawn
from tests.browser.live_map import LiveMap
from tests.support.service import Service


@pytest.fixture
def service(own_service: Service) -> Service:
    return own_service


@pytest.fixture
def zergling_id(live_map: LiveMap, spawn: Spawn) -> str:
    """A zergling that an open map shows."""
    zergling_id = spawn(2, 2, "E")
    live_map.open()
    live_map.expect_row(zergling_id, 2, 2, "east")
    return zergling_id


@pytest.mark.parametrize("backend", ["sqlite", "couch"], indirect=True)
def test_a_move_made_elsewhere_appears(
    service: Service, live_map: LiveMap, zergling_id: str
) -> None:
    live_map.page.evaluate("window.isSamePage = true")
    assert service.call("POST", f"/zerglings/{zergling_id}", '"M"').status == 200
    live_map.expect_row(zergling_id, 3, 2, "east")
    assert live_map.page.evaluate("window.isSamePage")


@pytest.mark.proof
@pytest.mark.alone
@pytest.mark.parametrize("backend", ["sqlite", "couch"], indirect=True)
def test_a_move_appears_within_a_second(
    service: Service, live_map: LiveMap, zergling_id: str
) -> None:
    assert service.call("POST", f"/zerglings/{zergling_id}", '"M"').status == 200
    live_map.expect_row(zergling_id, 3, 2, "east", timeout=1000)
