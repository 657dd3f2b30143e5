"""Tests for the scaling component."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from overmind_project.middleware import access_log
from tests.k8s.components import with_components
from tests.k8s.render import RenderError, find, overlays, render
from tests.support.pages import Page
from tests.support.service import ROOT

PRODUCTION = ROOT / "k8s/overlays/production"


def metrics(objects: list[dict[str, Any]]) -> list[Any]:
    found: list[Any] = find(objects, "HorizontalPodAutoscaler/overmind")["spec"]["metrics"]
    return found


def in_flight() -> Any:
    (found,) = [
        each for each in metrics(with_components(PRODUCTION, "scaling")) if each["type"] == "Pods"
    ]
    return found["pods"]


def test_the_autoscaler_still_watches_the_processor() -> None:
    before = metrics(render(PRODUCTION))
    assert metrics(with_components(PRODUCTION, "scaling"))[:-1] == before


def test_each_replica_gets_its_share_of_the_requests() -> None:
    target = in_flight()["target"]
    assert target["type"] == "AverageValue"
    assert 0 < int(target["averageValue"]) < 64


@pytest.mark.parametrize("overlay", [each for each in overlays() if each != PRODUCTION], ids=str)
def test_an_overlay_without_an_autoscaler_is_an_error(overlay: Path) -> None:
    with pytest.raises(RenderError, match="HorizontalPodAutoscaler"):
        with_components(overlay, "scaling")


def test_the_adapter_on_the_page_offers_the_metric_without_event_streams() -> None:
    page = Page(ROOT / "docs" / "kubernetes.md")
    (text,) = (each.text for each in page.blocks if "seriesQuery" in each.text)
    (rule,) = yaml.safe_load(text)["rules"]["custom"]
    assert rule["name"]["as"] == in_flight()["metric"]["name"]
    query = rule["metricsQuery"].replace("<<.LabelMatchers>>", 'namespace="default",pod=~"a|b"')
    promql_parser.parse(query.replace("<<.GroupBy>>", "pod"))
    promql_parser.parse(rule["seriesQuery"])
    used = re.findall(r"overmind_\w+", query)
    offered = [access_log._IN_FLIGHT, access_log._STREAMS_OPEN]
    assert used == [each._name for each in offered]
