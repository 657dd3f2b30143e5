"""Tests for `/metrics`: its content, access under any Host, and invalid input."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.test import Client
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from overmind_project import __version__
from overmind_project.monitoring import collectors, metrics
from tests.support.backends import Backend, sqlite_backend
from tests.support.copies import hold
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault, Hang
from tests.support.prometheus import Metrics
from tests.support.service import Service
from tests.support.waiting import wait_until
from zerglings.storage.regions.lag import Lag

OPEN_METRICS = "application/openmetrics-text"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("exposed")
    environment = sqlite_backend(directory).environment
    strict = {"WEB_CONCURRENCY": "2", "DJANGO_ALLOWED_HOSTS": "overmind.example"}
    with Service(environment | strict, directory) as service:
        for _ in range(20):
            service.call("POST", "/zerglings/", headers={"Host": "overmind.example"})
        yield service


def test_the_prometheus_parser_accepts_every_family_with_its_help(serving: Service) -> None:
    reply = serving.call("GET", "/metrics")
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(reply.body.decode()))
    assert len({family.name for family in families}) == len(families) >= 18
    assert all(family.documentation for family in families)
    assert all(family.samples for family in families)
    (build,) = [family for family in families if family.name == "overmind_build_info"]
    assert build.samples[0].labels["version"] == __version__


def test_open_metrics_is_returned_on_request(serving: Service) -> None:
    asked = f"{OPEN_METRICS};version=1.0.0,text/plain;version=0.0.4;q=0.5"
    reply = serving.call("GET", "/metrics", headers={"Accept": asked})
    assert reply.headers["Content-Type"] == f"{OPEN_METRICS}; version=1.0.0; charset=utf-8"
    families = {family.name: family for family in open_metrics(reply.body.decode())}  # type: ignore[no-untyped-call]  # the library has no types there
    assert families["overmind_spawns"].samples[0].value == 20


PROMETHEUS = (
    f"{OPEN_METRICS};version=1.0.0;escaping=allow-utf-8;q=0.6,{OPEN_METRICS};version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "is_open_metrics"),
    [
        (PROMETHEUS, True),
        (OPEN_METRICS, True),
        (f"{OPEN_METRICS.title()}; Q=0.2, */*;q=0.1", True),
        ("text/*;q=0, */*", True),
        (f"{OPEN_METRICS};q=0", False),
        (f"{OPEN_METRICS};q=0, */*", False),
        (f"text/plain, {OPEN_METRICS};q=0.9", False),
        (f"x/{OPEN_METRICS.replace('/', '-')}", False),
        ("*/*", False),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", False),
        ("application/json", False),
    ],
)
def test_open_metrics_is_returned_only_if_preferred(
    serving: Service, accept: str, *, is_open_metrics: bool
) -> None:
    reply = serving.call("HEAD", "/metrics", headers={"Accept": accept})
    media_type = reply.headers["Content-Type"].partition(";")[0]
    assert media_type == (OPEN_METRICS if is_open_metrics else "text/plain")
    assert reply.headers["Vary"] == "Accept"


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html",
        f"{OPEN_METRICS}; version=x; escaping=\\",
        "text/plain; version=9" * 99,
    ],
)
def test_metrics_are_returned_for_every_accept_header(serving: Service, accept: str) -> None:
    assert serving.call("GET", "/metrics", headers={"Accept": accept}).status == 200


def test_metrics_are_read_only_and_accept_any_host(serving: Service) -> None:
    for path in ("/metrics", "/metrics/"):
        assert serving.call("GET", path, headers={"Host": "10.0.0.7:8080"}).status == 200
    assert serving.call("HEAD", "/metrics").body == b""
    refused = serving.call("POST", "/metrics")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")


def test_all_processes_are_counted_with_their_memory(serving: Service) -> None:
    text = serving.call("GET", "/metrics").body.decode()
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert values["overmind_processes"] == 3
    assert 50e6 < values["overmind_resident_memory_bytes"] < 2e9


def test_a_process_without_gunicorn_reports_itself(api: Client) -> None:
    api.post("/zerglings/")
    text = api.get("/metrics").content.decode()
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"overmind_spawns", "overmind_store_calls", "overmind_build_info"} <= names


LACKING = "overmind_store_copies_lacking_documents"


@pytest.fixture
def on_a_cluster(couch: Backend, proxy: FaultProxy, tmp_path: Path) -> Iterator[Service]:
    """A service on a cluster of three nodes, one of which has incomplete copies."""
    hold(proxy, a=(30,), b=(3,), c=(30,))
    with Service(couch.through(proxy.url).environment, tmp_path) as service:
        yield service


def test_documents_missing_in_copies_are_counted(on_a_cluster: Service) -> None:
    def shown() -> list[object]:
        return list(Metrics.of(on_a_cluster).samples(LACKING))

    wait_until(lambda: shown() == [({}, 2 * 27)], "27 in each database", seconds=60)


def test_the_missing_documents_are_cached_while_the_store_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(collectors, "time", SimpleNamespace(monotonic=lambda: now))
    answers = iter([27, None, None, 3])
    collector = collectors.CopiesCollector(lambda: next(answers))

    def shown() -> list[float]:
        return [sample.value for family in collector.collect() for sample in family.samples]

    assert [shown(), shown()] == [[27], [27]], "one answer for two scrapes"
    now += collectors.ASK_EVERY
    assert shown() == [27]
    now += collectors.KEPT_FOR
    assert shown() == []
    now += collectors.ASK_EVERY
    assert shown() == [3]


def test_a_hanging_store_does_not_delay_a_scrape(on_a_cluster: Service, proxy: FaultProxy) -> None:
    proxy.faults = [Fault(Hang(threading.Event()))]
    began = time.monotonic()
    assert not list(Metrics.of(on_a_cluster).samples(LACKING))
    assert time.monotonic() - began < 5


def test_the_copies_metric_is_absent_without_copies(serving: Service) -> None:
    assert not list(Metrics.of(serving).samples(LACKING))


def shown(lags: dict[str, Lag] | None) -> dict[str, list[tuple[dict[str, str], float]]]:
    families = collectors.RegionsCollector(lambda: lags).collect()
    return {
        family.name: [(sample.labels, sample.value) for sample in family.samples]
        for family in families
    }


@pytest.mark.parametrize("lags", [None, {}])
def test_no_region_is_seen_while_none_is_known(lags: dict[str, Lag] | None) -> None:
    assert shown(lags) == {"overmind_regions_seen": [({}, 0)], "overmind_region_lag_seconds": []}


def test_each_region_has_its_lags() -> None:
    found = shown({"east": Lag(zerglings=70.0, history=2.5), "north": Lag(1.0, 0.0)})
    assert found["overmind_regions_seen"] == [({}, 2)]
    assert ({"region": "east", "part": "zerglings"}, 70.0) in found["overmind_region_lag_seconds"]
    assert ({"region": "east", "part": "history"}, 2.5) in found["overmind_region_lag_seconds"]
    assert len(found["overmind_region_lag_seconds"]) == 4


@pytest.mark.parametrize("accept", ["text/plain", OPEN_METRICS])
def test_a_file_that_disappears_during_a_scrape_is_no_error(
    api: Client, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of ended workers are removed when there are too many."""
    absent = [FileNotFoundError(), FileNotFoundError()]

    class Files(Collector):
        def collect(self) -> Iterator[Metric]:
            if absent:
                raise absent.pop()
            yield GaugeMetricFamily("found", "Read at the third attempt.", 1)

    registry = CollectorRegistry()
    monkeypatch.setattr(metrics, "_registry", lambda: registry)
    registry.register(
        Files(),
    )
    response = api.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    assert b"found 1.0" in response.content
