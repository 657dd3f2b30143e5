"""The metrics of all processes of this service, as Prometheus reads them."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from overmind_project import __version__
from overmind_project.multiprocess import SHARED
from zerglings.api.negotiation import best_media_type
from zerglings.hive.hive import configured_hive

PLAIN, OPEN_METRICS = "text/plain", "application/openmetrics-text"

ASK_EVERY = 10.0
"""Seconds in which this process asks the store no more than once on behalf of scrapers."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class AboutTheService(Collector):
    """What is looked up when it is asked for: the version, the processes and their memory."""

    def collect(self) -> Iterator[Metric]:
        """Yield what is known now."""
        about = {
            "version": __version__,
            "python": platform.python_version(),
            "store": settings.OVERMIND_STORE,
        }
        yield InfoMetricFamily("overmind_build", "What is running here.", about)
        sizes = _resident_bytes()
        yield GaugeMetricFamily(
            "overmind_processes",
            "Processes of this service, gunicorn's main one too.",
            len(sizes),
        )
        yield GaugeMetricFamily(
            "overmind_resident_memory_bytes",
            "Memory of all processes of this service; what they share counts for each.",
            sum(sizes),
        )


class CopiesOfTheStore(Collector):
    """What copies in the store lack, which it is asked for, seldom, when this is asked for.

    Args:
        ask: returns how many documents that are; None where that is not known.
    """

    def __init__(self, ask: Callable[[], int | None]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._asked_at = -ASK_EVERY
        self._lacking: int | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the number; nothing where there is but one copy, or the store does not tell."""
        if self._lock.acquire(blocking=False):  # a second scrape meanwhile gets the last number
            try:
                if time.monotonic() - self._asked_at >= ASK_EVERY:
                    self._lacking = self._ask()
                    self._asked_at = time.monotonic()
            finally:
                self._lock.release()
        if self._lacking is not None:
            yield GaugeMetricFamily(
                "overmind_store_copies_lacking_documents",
                "Documents that copies in service lack of what other copies hold.",
                self._lacking,
            )


def _resident_bytes() -> list[int]:
    """Return the memory of each process of this service, in bytes.

    They are this process and, where it is one of gunicorn's workers, its parent with all workers.
    """
    ids = {os.getpid()}
    if SHARED.has_slot:
        parent = os.getppid()
        children = Path(f"/proc/{parent}/task/{parent}/children")
        ids |= {parent, *map(int, children.read_text().split())} if children.exists() else set()
    return [size for id_ in ids if (size := _resident_bytes_of(id_))]


def _resident_bytes_of(process_id: int) -> int:
    try:
        pages = Path(f"/proc/{process_id}/statm").read_text().split()[1]
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0
    return int(pages) * _PAGE_BYTES


@cache
def _registry() -> CollectorRegistry:
    if not SHARED.has_slot:
        registry = REGISTRY
    else:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # has no types
    registry.register(AboutTheService())
    registry.register(CopiesOfTheStore(lambda: configured_hive().lacking()))
    return registry


def metrics(request: HttpRequest) -> HttpResponse:
    """Show the metrics, as OpenMetrics to those who prefer it."""
    if best_media_type(request.META.get("HTTP_ACCEPT"), (PLAIN, OPEN_METRICS)) == OPEN_METRICS:
        text = openmetrics.generate_latest(_registry())  # type: ignore[no-untyped-call]  # has no types
        content_type = openmetrics.CONTENT_TYPE_LATEST
    else:  # to those as well who accept neither
        text, content_type = generate_latest(_registry()), CONTENT_TYPE_PLAIN_0_0_4
    return HttpResponse(text, content_type=content_type, headers={"Vary": "Accept"})
