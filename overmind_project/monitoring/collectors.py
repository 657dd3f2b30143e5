"""Metrics that are read at each scrape instead of being counted."""

from __future__ import annotations

import math
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from overmind_project import __version__
from overmind_project.monitoring.multiprocess import METRICS_DIRECTORY
from zerglings.storage.regions.lag import Lag

ASK_EVERY = 10.0
"""Minimum seconds between two queries of the store; scrapes in between report the last number."""

KEPT_FOR = 300.0
"""Seconds for which the last known number is reported while the current one is unknown."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ServiceCollector(Collector):
    """Values that are read at each scrape: the version, the processes and their memory."""

    def collect(self) -> Iterator[Metric]:
        """Yield the current values."""
        about = {
            "version": __version__,
            "python": platform.python_version(),
            "store": settings.OVERMIND_STORE,
        }
        yield InfoMetricFamily("overmind_build", "The running version.", about)
        sizes = _resident_bytes()
        yield GaugeMetricFamily(
            "overmind_processes",
            "Processes of this service, including gunicorn's main process.",
            len(sizes),
        )
        yield GaugeMetricFamily(
            "overmind_resident_memory_bytes",
            "Resident memory of all processes; shared memory counts for each process.",
            sum(sizes),
        )


class CopiesCollector(Collector):
    """Reports how many documents are missing from copies in CouchDB that are in service.

    A scrape queries the store, unless another scrape does so now or did so in the last
    ``ASK_EVERY`` seconds. Otherwise it reports the last number.

    While the number is unknown, the last known one is reported for up to ``KEPT_FOR`` seconds.
    Filling a copy may keep the store too busy to answer in time, and that must not reset an alert.

    Args:
        ask: returns the number of documents, None if it is unknown.
    """

    def __init__(self, ask: Callable[[], int | None]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._asked_at = self._known_at = -math.inf
        self._lacking: int | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the number; nothing if each shard has one copy, or if the number is unknown."""
        if self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._asked_at >= ASK_EVERY:
                    self._update(self._ask())
            finally:
                self._lock.release()
        if self._lacking is not None:
            yield GaugeMetricFamily(
                "overmind_store_copies_lacking_documents",
                "Documents that copies in service lack compared with other copies.",
                self._lacking,
            )

    def _update(self, lacking: int | None) -> None:
        self._asked_at = time.monotonic()
        if lacking is not None:
            self._known_at = self._asked_at
        if lacking is not None or self._asked_at - self._known_at >= KEPT_FOR:
            self._lacking = lacking


class RegionsCollector(Collector):
    """Reports how far this region is behind the others.

    Args:
        lags: returns the lags by region, None while they are unknown.
    """

    def __init__(self, lags: Callable[[], dict[str, Lag] | None]) -> None:
        self._lags = lags

    def collect(self) -> Iterator[Metric]:
        """Yield the lags; nothing for a region whose heartbeat has never arrived.

        While the lags are unknown, no region is seen: so the alert for that also reports a monitor
        that does not work.
        """
        lags = self._lags() or {}
        yield GaugeMetricFamily(
            "overmind_regions_seen",
            "Other regions whose heartbeats have arrived in this one.",
            len(lags),
        )
        seconds = GaugeMetricFamily(
            "overmind_region_lag_seconds",
            "Seconds by which this region is behind another one, by part (zerglings or history).",
            labels=("region", "part"),
        )
        for region, lag in lags.items():
            seconds.add_metric((region, "zerglings"), lag.zerglings)
            seconds.add_metric((region, "history"), lag.history)
        yield seconds


def _resident_bytes() -> list[int]:
    """Return the resident memory of each process of this service, in bytes.

    Outside gunicorn that is this process only. In a gunicorn worker it is the main process and
    all workers.
    """
    ids = {os.getpid()}
    if METRICS_DIRECTORY.is_open:
        parent = os.getppid()
        children = Path(f"/proc/{parent}/task/{parent}/children")
        ids |= {parent, *map(int, children.read_text().split())} if children.exists() else set()
    return [size for id_ in ids if (size := _resident_bytes_of(id_))]


def _resident_bytes_of(process_id: int) -> int:
    try:
        pages = Path(f"/proc/{process_id}/statm").read_text().split()[1]
    except (FileNotFoundError, ProcessLookupError):  # the process has just ended
        return 0
    return int(pages) * _PAGE_BYTES
