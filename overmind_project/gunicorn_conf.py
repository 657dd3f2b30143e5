"""How gunicorn serves: ``gunicorn -c python:overmind_project.gunicorn_conf``.

The figures behind these choices are in docs/performance.md.
"""

from __future__ import annotations

import gc
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
from django.core.exceptions import ImproperlyConfigured

try:
    from overmind_project import settings
except ImproperlyConfigured as error:
    sys.exit(f"overmind: {error}")

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

wsgi_app = "overmind_project.wsgi:application"
bind = settings.OVERMIND_HTTP_ADDR
backlog = 2048  # connections that may wait while all hands are full
workers = settings.WEB_CONCURRENCY
worker_class = "gevent"  # a waiting request or an idle stream costs a greenlet, not a thread
worker_connections = settings.OVERMIND_THREADS
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - gunicorn makes unguessable, unlinked files there
if Path(SHARED_MEMORY).is_dir():
    worker_tmp_dir = SHARED_MEMORY  # heartbeats in memory, not on a slow disk
control_socket_disable = True  # the root may be read-only
accesslog = "-"
access_log_format = '%(t)s %(h)s "%(r)s" %(s)s %(b)s bytes %(D)s us'
graceful_timeout = 20  # seconds; longer than any use case takes
timeout = 30  # seconds without a heartbeat after which a process is taken for dead
forwarder_headers = ""  # nobody sets SCRIPT_NAME from outside
forwarded_allow_ips = ""  # nor the scheme, which nothing here depends on
keepalive = 75  # seconds; longer than a load balancer in front keeps an idle connection

LOOK_EVERY = 0.2
"""Seconds between two looks whether this process is to stop."""


def post_worker_init(worker: Worker) -> None:
    """Spare the garbage collector what stays: it took a fifth of the time of a request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 10)
    gevent.spawn(_end_streams_with, worker)


def _end_streams_with(worker: Worker) -> None:
    """End all streams as soon as the process is to stop: it waits for whatever is under way."""
    while worker.alive:
        gevent.sleep(LOOK_EVERY)  # gunicorn tells nobody
    from zerglings.feed import configured_feed

    configured_feed().end()


def when_ready(server: Arbiter) -> None:
    """Say where to begin."""
    log = logging.getLogger("gunicorn.error")
    host, _, port = bind.rpartition(":")
    everywhere = ("0.0.0.0", "[::]")  # noqa: S104 - compared with, not bound to
    place = f"http://{'localhost' if host in everywhere else host}:{port}"
    log.info("In a browser: %s/zerglings/", place)
    log.info("Spawn: curl -X POST %s/zerglings/", place)
    log.info("List:  curl %s/zerglings/", place)
    log.info("Move:  curl -X POST %s/zerglings/<id> -d '\"M\"'", place)
    log.info("Health: %s/_health", place)
