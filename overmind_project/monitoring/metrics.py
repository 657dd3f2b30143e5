"""The `/metrics` view: the metrics of all processes of this service in a Prometheus format."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics

from overmind_project.monitoring.collectors import (
    CopiesCollector,
    RegionsCollector,
    ServiceCollector,
)
from overmind_project.monitoring.multiprocess import METRICS_DIRECTORY
from zerglings.api.negotiation import best_media_type
from zerglings.hive.hive import configured_hive
from zerglings.regions.monitor import configured_monitor

Render = Callable[[CollectorRegistry], bytes]

PLAIN, OPEN_METRICS = "text/plain", "application/openmetrics-text"

ATTEMPTS = 3
"""Attempts to read the files of the processes: those of ended ones may be removed meanwhile."""


@cache
def _registry() -> CollectorRegistry:
    if METRICS_DIRECTORY.is_open:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # has no types
    else:
        registry = REGISTRY
    registry.register(ServiceCollector())
    registry.register(CopiesCollector(lambda: configured_hive().missing_documents()))
    if (monitor := configured_monitor()) is not None:
        registry.register(RegionsCollector(monitor.lags))
    return registry


def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics, in the OpenMetrics format if the client prefers it."""
    render: Render = generate_latest
    content_type = CONTENT_TYPE_PLAIN_0_0_4
    # A client that accepts neither gets the plain format.
    if best_media_type(request.META.get("HTTP_ACCEPT"), (PLAIN, OPEN_METRICS)) == OPEN_METRICS:
        render, content_type = openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST
    text = _rendered(render)
    return HttpResponse(text, content_type=content_type, headers={"Vary": "Accept"})


def _rendered(render: Render) -> bytes:
    for _ in range(ATTEMPTS - 1):
        try:
            return render(_registry())
        except FileNotFoundError:
            continue
    return render(_registry())
