"""Tests for the monitoring component: its objects, dashboard queries and alert rules."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest

from tests.k8s import render as rendering
from tests.k8s.components import Object, each_overlay, with_components
from tests.k8s.monitoring import DASHBOARD, alerts
from tests.k8s.render import dig, find, name_of, render
from tests.support.backends import sqlite_backend
from tests.support.pages import Page
from tests.support.prometheus import Metrics
from tests.support.service import ROOT, Service

TARGET_LABELS = {"job", "instance", "pod", "namespace"}
"""Labels that Prometheus adds to whatever it scrapes."""

FROM_PROMETHEUS = {"up": set[str]()}
"""Metrics that Prometheus itself adds for each target."""

ON_OCCASION = {
    "overmind_connections_dropped_total": {"reason"},
    "overmind_http_answers_cut_total": {"route", "by"},
    "overmind_store_copies_lacking_documents": set[str](),
    "overmind_region_lag_seconds": {"region", "part"},
    "overmind_regions_seen": set[str](),
}
"""Samples that appear only after an event, on a cluster or with regions, not in a short run."""

_NAME = re.compile(r"\b(overmind_\w+|up)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_SECTION = re.compile(r"(?m)^### (Overmind\w+)\n\n(\w+): ")
_BY = re.compile(r"\bby \(([^)]*)\)")
_LEGEND = re.compile(r"\{\{(\w+)\}\}")


def monitored(overlay: Path) -> list[Object]:
    return with_components(overlay, "monitoring")


# What it adds


@each_overlay
def test_the_component_is_optional_and_adds_three_objects(overlay: Path) -> None:
    before = {name_of(each) for each in render(overlay)}
    after = {name_of(each) for each in monitored(overlay)}
    assert after - before == {
        "ServiceMonitor/overmind",
        "PrometheusRule/overmind",
        "ConfigMap/overmind-dashboard",
    }
    assert before < after


@each_overlay
def test_the_service_monitor_selects_the_service_and_its_port(overlay: Path) -> None:
    objects = monitored(overlay)
    monitor = find(objects, "ServiceMonitor/overmind")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    labels = monitor["spec"]["selector"]["matchLabels"]
    services = [each for each in objects if each["kind"] == "Service"]
    (service,) = [each for each in services if labels.items() <= each["metadata"]["labels"].items()]
    assert name_of(service) == "Service/overmind"
    (endpoint,) = monitor["spec"]["endpoints"]
    (port,) = [each for each in service["spec"]["ports"] if each["name"] == endpoint["port"]]
    (container,) = [
        each for each in rendering.containers(objects, init=False) if each.name == "overmind"
    ]
    assert port["targetPort"] in {each["name"] for each in container.spec["ports"]}
    assert endpoint["path"] == "/metrics"


@each_overlay
def test_the_network_policy_allows_scrapes(overlay: Path) -> None:
    policy = find(monitored(overlay), "NetworkPolicy/overmind")
    open_to_all = [rule for rule in policy["spec"]["ingress"] if not rule.get("from")]
    assert 8080 in {port["port"] for rule in open_to_all for port in rule["ports"]}


@each_overlay
def test_the_dashboard_has_the_label_of_grafanas_sidecar(overlay: Path) -> None:
    config = find(monitored(overlay), "ConfigMap/overmind-dashboard")
    assert dig(config, "metadata", "labels", "grafana_dashboard") == "1"
    assert json.loads(config["data"][DASHBOARD.name]) == json.loads(DASHBOARD.read_text())


# The dashboard


def dashboard() -> Object:
    found: Object = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def targets() -> Iterator[tuple[str, Object]]:
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Names and labels of the samples of a service after some requests."""
    place = tmp_path_factory.mktemp("scraped")
    with Service(sqlite_backend(place).environment, place) as service:
        spawned = service.call("POST", "/zerglings/").json["zergling"]["id"]
        service.call("POST", f"/zerglings/{spawned}", '"M"')
        service.call("GET", f"/zerglings/{spawned}")
        service.call("GET", f"/zerglings/{uuid.uuid4()}")
        service.call("DELETE", f"/zerglings/{spawned}")
        return Metrics.of(service).names() | ON_OCCASION | FROM_PROMETHEUS


def labels_asked_for(title: str, expression: str, offered: dict[str, set[str]]) -> set[str]:
    """Check an expression against the existing metrics; return the labels it groups by."""
    found = _NAME.findall(expression)
    assert found, title
    known = set(TARGET_LABELS)
    for name, matchers in found:
        assert name in offered, f"{title}: no metric {name}"
        known |= offered[name]
        unknown = set(_MATCHER.findall(matchers)) - offered[name] - TARGET_LABELS
        assert not unknown, f"{title}: {name} has no {unknown}"
    grouped = {label.strip() for by in _BY.findall(expression) for label in by.split(",")}
    assert grouped <= known, title
    return grouped


def test_every_metric_and_label_of_the_dashboard_exists(offered: dict[str, set[str]]) -> None:
    asked = list(targets())
    assert len(asked) > 20
    for title, target in asked:
        grouped = labels_asked_for(title, target["expr"], offered)
        shown = set(_LEGEND.findall(target["legendFormat"]))
        assert shown <= grouped, f"{title}: the legend shows what is not grouped by"


def test_every_metric_of_ours_is_on_the_dashboard(offered: dict[str, set[str]]) -> None:
    asked = {name for _, target in targets() for name, _ in _NAME.findall(target["expr"])}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in asked}
    ours = {name for name in offered if name.startswith("overmind_")}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in ours} == families


def test_panels_have_unique_ids_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_data_source_is_a_variable() -> None:
    variables = {each["name"] for each in dashboard()["templating"]["list"]}
    assert variables == {"datasource", "job"}
    for title, target in targets():
        assert target["datasource"]["uid"] == "${datasource}", title
        assert 'job=~"$job"' in target["expr"], title


# The alerts


each_alert = pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])


@each_alert
def test_every_alert_is_valid_promql_on_existing_metrics(
    alert: Object, offered: dict[str, set[str]]
) -> None:
    promql_parser.parse(alert["expr"])
    labels = labels_asked_for(alert["alert"], alert["expr"], offered)
    told = re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"])
    assert set(told) <= labels | TARGET_LABELS


def test_invalid_expressions_are_detected(offered: dict[str, set[str]]) -> None:
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        promql_parser.parse("sum by (pod (overmind_queue_depth) > 1")
    with pytest.raises(AssertionError, match="no metric"):
        labels_asked_for("", "overmind_queue_length > 1", offered)
    with pytest.raises(AssertionError, match="has no"):
        labels_asked_for("", 'overmind_queue_depth{route="x"} > 1', offered)


@each_alert
def test_every_alert_has_a_severity_and_a_runbook(alert: Object) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    place, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert anchor == alert["alert"].lower()
    assert anchor in Page(ROOT / place).anchors


def test_the_documentation_has_a_section_for_each_alert_that_begins_with_its_severity() -> None:
    told = dict(_SECTION.findall(Page(ROOT / "docs" / "operations.md").text))
    assert told == {each["alert"]: each["labels"]["severity"].capitalize() for each in alerts()}
