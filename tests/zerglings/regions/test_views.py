"""Tests for `GET /regions`: it answers `null` while the other regions are not known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from rest_framework.test import APIRequestFactory

from zerglings.regions import views
from zerglings.storage.regions.lag import Lag

EAST = {"region": "east", "secondsBehind": {"zerglings": 14.2, "history": 8.0}}


@pytest.mark.parametrize(
    ("lags", "others"), [(None, None), ({}, []), ({"east": Lag(14.21, 8.04)}, [EAST])]
)
def test_others_are_null_only_while_they_are_unknown(
    monkeypatch: pytest.MonkeyPatch, lags: dict[str, Lag] | None, others: object
) -> None:
    monitor = SimpleNamespace(region="west", lags=lambda: lags)
    monkeypatch.setattr(views, "configured_monitor", lambda: monitor)
    answer = views.Regions.as_view()(APIRequestFactory().get("/regions"))
    assert answer.data == {"region": "west", "others": others}
