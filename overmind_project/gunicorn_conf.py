"""The gunicorn configuration: `gunicorn -c python:overmind_project.gunicorn_conf`.

docs/performance.md has the measurements behind the values.
"""

from __future__ import annotations

import gc
import logging
import logging.config
import os
import signal
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

import gevent
from django.core.exceptions import ImproperlyConfigured
from gunicorn import glogging

from overmind_project.logs import ACCESS_LINES
from overmind_project.monitoring.multiprocess import METRICS_DIRECTORY, shared_directory
from overmind_project.server.balance import ConnectionCounts
from overmind_project.server.listening import EVERY, EVERY_IPV4, binds
from overmind_project.server.output import escape_unencodable_output

escape_unencodable_output()

# Modules that workers import read settings before wsgi.py runs.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "overmind_project.settings")

try:
    from overmind_project import settings
except ImproperlyConfigured as error:
    sys.exit(f"overmind: {error}")

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.config import Config

    from overmind_project.server.worker import Worker

wsgi_app = "overmind_project.wsgi:application"
bind = binds(settings.OVERMIND_HTTP_ADDR)
backlog = 2048  # connections that may wait to be accepted
workers = settings.WEB_CONCURRENCY
worker_class = (
    "overmind_project.server.worker.Worker"  # a waiting connection costs a greenlet, not a thread
)
worker_connections = settings.OVERMIND_THREADS
try:
    worker_tmp_dir = shared_directory()  # heartbeats go to memory, not to a slow disk
except OSError as error:
    sys.exit(f"overmind: no directory for temporary files: {error.strerror}")
control_socket_disable = True  # the root file system may be read-only
accesslog = None  # AccessLog logs a line for each request
graceful_timeout = 20  # seconds; longer than any use case takes
timeout = 30  # seconds without a heartbeat after which a worker is replaced
keepalive = settings.OVERMIND_KEEP_ALIVE

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""The signals with which gunicorn stops its workers."""


class Logger(glogging.Logger):
    """Formats gunicorn's log lines like all other lines, without data from clients."""

    def setup(self, cfg: Config) -> None:
        """Configure all loggers.

        Django does this in the workers, but the main process does not load Django.
        """
        super().setup(cfg)
        logging.config.dictConfig(settings.LOGGING)


logger_class = Logger


def on_starting(server: Arbiter) -> None:
    """Create the metrics directory, which the workers share."""
    METRICS_DIRECTORY.open()
    os.register_at_fork(
        before=lambda: _mask(signal.SIG_BLOCK),
        after_in_parent=lambda: _mask(signal.SIG_UNBLOCK),
        after_in_child=_exit_on_stop_signals,
    )


def _mask(how: signal.Sigmasks) -> None:
    signal.pthread_sigmask(how, STOP_SIGNALS)


def _exit_on_stop_signals() -> None:
    """Make a new worker exit on a stop signal until it has installed its own handlers.

    It inherits the handlers of the main process, which would ignore the signal in a worker.
    Stopping would then take the whole `graceful_timeout`.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))
    _mask(signal.SIG_UNBLOCK)


CONNECTION_COUNTS = ConnectionCounts(workers)


def pre_fork(server: Arbiter, worker: Worker) -> None:
    """Give a new worker a place among the counts of connections."""
    others: Collection[Worker] = server.WORKERS.values()  # type: ignore[assignment]  # all are of this class
    worker.counts = CONNECTION_COUNTS
    worker.place = worker.counts.free_place([each.place for each in others])


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Drop the gauges and the count of connections of a worker that has ended."""
    worker.counts.leave(worker.place)
    METRICS_DIRECTORY.worker_ended(int(worker.pid), server.WORKERS)


def on_exit(server: Arbiter) -> None:
    """Remove the metrics directory."""
    METRICS_DIRECTORY.close()


def post_worker_init(worker: Worker) -> None:
    """Exclude long-lived objects from garbage collection.

    Collecting them took a fifth of each request's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 10)
    gevent.spawn(_end_streams_with, worker)
    if settings.OVERMIND_REGION:
        gevent.spawn(_monitor_regions, worker)
    ACCESS_LINES.defer = gevent.get_hub().loop.run_callback


def worker_exit(server: Arbiter, worker: Worker) -> None:
    """Write the last lines of the access log."""
    ACCESS_LINES.flush()


def _end_streams_with(worker: Worker) -> None:
    """End all event streams when the worker begins to stop; it would wait for them otherwise."""
    worker.stopping.wait()
    from zerglings.feed.reader import configured_feed

    configured_feed().end()


def _monitor_regions(worker: Worker) -> None:
    """Write the heartbeat of this region, and watch those of others, until the worker stops."""
    from zerglings.regions.monitor import configured_monitor

    if (monitor := configured_monitor()) is not None:
        monitor.run(worker.stopping)


def when_ready(server: Arbiter) -> None:
    """Log whether a token is required, the URL of the map, and example calls of the API."""
    log = logging.getLogger("gunicorn.error")
    host, _, port = settings.OVERMIND_HTTP_ADDR.rpartition(":")
    name = "localhost" if host in ("", EVERY, EVERY_IPV4) else host
    url = f"http://{name}:{port}{settings.OVERMIND_PATH_PREFIX}"
    access = "requires a token" if settings.OVERMIND_TOKENS.is_given else "is open to all"
    log.info("Access: the service %s", access)
    log.info("In a browser: %s/", url)
    log.info("Spawn: curl -X POST %s/zerglings/", url)
    log.info("List:  curl %s/zerglings/", url)
    log.info("Move:  curl -X POST %s/zerglings/<id> -d '\"M\"'", url)
    log.info("Health: %s/_health", url)
