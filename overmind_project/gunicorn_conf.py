"""How gunicorn serves: ``gunicorn -c python:overmind_project.gunicorn_conf``.

The figures behind these choices are in docs/performance.md.
"""

from __future__ import annotations

import gc
import logging
import logging.config
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import gevent
from django.core.exceptions import ImproperlyConfigured
from gunicorn import glogging

from overmind_project.http.gcra import shared_limiters
from overmind_project.multiprocess import SHARED, shared_place
from overmind_project.server.listening import EVERY, EVERY_IPV4, binds
from overmind_project.server.output import print_anything
from zerglings.log_context import CONTEXT, NOTHING

print_anything()

# What the workers import asks for a setting before wsgi.py could name their module.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "overmind_project.settings")

try:
    from overmind_project import settings
except ImproperlyConfigured as error:
    sys.exit(f"overmind: {error}")

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.config import Config
    from gunicorn.http.message import Request
    from gunicorn.http.wsgi import Response

    from overmind_project.server.worker import Worker

wsgi_app = "overmind_project.wsgi:application"
bind = binds(settings.OVERMIND_HTTP_ADDR)
backlog = 2048  # connections that may wait while all hands are full
workers = settings.WEB_CONCURRENCY
worker_class = "overmind_project.server.worker.Worker"  # who waits costs a greenlet, not a thread
worker_connections = settings.OVERMIND_THREADS
try:
    worker_tmp_dir = shared_place()  # heartbeats in memory, not on a slow disk
except OSError as error:
    sys.exit(f"overmind: a directory for temporary files is needed: {error.strerror}")
control_socket_disable = True  # the root may be read-only
accesslog = None  # observation.py logs a line for each request
graceful_timeout = 20  # seconds; longer than any use case takes
timeout = 30  # seconds without a heartbeat after which a process is taken for dead
forwarder_headers = ""  # nobody sets SCRIPT_NAME from outside
forwarded_allow_ips = ""  # nor the scheme, which nothing here depends on
keepalive = settings.OVERMIND_KEEP_ALIVE
limit_request_line = 8190  # bytes; a position in the news of a large cluster takes thousands
limit_request_fields = 100
limit_request_field_size = 8190  # bytes; connections.py bounds all of them together

TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""What gunicorn tells its workers to stop by."""


class Logger(glogging.Logger):
    """gunicorn's own lines in the form of all others, without what a client may have sent."""

    def setup(self, cfg: Config) -> None:
        """Set up every logger, also in the main process, where Django is not."""
        super().setup(cfg)
        logging.config.dictConfig(settings.LOGGING)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log an error with its traceback, but not the URL, which may hold anything."""
        if str(msg).startswith("Error handling request"):
            msg, args = "Error handling a request", ()
        super().exception(msg, *args, **kwargs)


logger_class = Logger


def on_starting(server: Arbiter) -> None:
    """Make the places where the workers count together."""
    SHARED.open()
    if settings.OVERMIND_RATE_LIMIT is not None:
        shared_limiters(settings.OVERMIND_RATE_LIMIT)
    os.register_at_fork(
        before=lambda: _mask(signal.SIG_BLOCK),
        after_in_parent=lambda: _mask(signal.SIG_UNBLOCK),
        after_in_child=_leave_when_told,
    )


def _mask(how: signal.Sigmasks) -> None:
    signal.pthread_sigmask(how, TO_STOP)


def _leave_when_told() -> None:
    """Have a newborn worker end when it is told to, until it has handlers of its own.

    Those of the main process, which it has by birth, would note it in vain, and the service would
    take the whole ``graceful_timeout`` to end.
    """
    for told in TO_STOP:
        signal.signal(told, lambda *_: sys.exit(0))
    _mask(signal.SIG_UNBLOCK)


def pre_fork(server: Arbiter, worker: Worker) -> None:
    """Give a worker that is about to start a seat that nobody has."""
    SHARED.take_slot(worker.age)


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Have a worker count there, before it loads anything that counts."""
    SHARED.occupy_slot(worker.age)


def post_request(
    worker: Worker, request: Request, environ: dict[str, Any], response: Response
) -> None:
    """What is logged from here on is not about this request."""
    CONTEXT.set(NOTHING)


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Forget what a worker had under way when it ended."""
    SHARED.leave(worker.age)


def on_exit(server: Arbiter) -> None:
    """Leave nothing behind."""
    SHARED.close()
    if settings.OVERMIND_RATE_LIMIT is not None:
        for limiter in shared_limiters(settings.OVERMIND_RATE_LIMIT):
            limiter.close()


def post_worker_init(worker: Worker) -> None:
    """Spare the garbage collector what stays: it took a fifth of the time of a request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 10)
    gevent.spawn(_end_streams_with, worker)


def _end_streams_with(worker: Worker) -> None:
    """End all streams as soon as the process is to stop: it waits for whatever is under way."""
    worker.stopping.wait()
    from zerglings.feed.reader import configured_feed

    configured_feed().end()


def when_ready(server: Arbiter) -> None:
    """Say where to begin."""
    log = logging.getLogger("gunicorn.error")
    host, _, port = settings.OVERMIND_HTTP_ADDR.rpartition(":")
    name = "localhost" if host in ("", EVERY, EVERY_IPV4) else host
    place = f"http://{name}:{port}{settings.OVERMIND_PATH_PREFIX}"
    closed = "asks for a token" if settings.OVERMIND_TOKENS.is_given else "is open to all"
    log.info("Access: the service %s", closed)
    log.info("In a browser: %s/", place)
    log.info("Spawn: curl -X POST %s/zerglings/", place)
    log.info("List:  curl %s/zerglings/", place)
    log.info("Move:  curl -X POST %s/zerglings/<id> -d '\"M\"'", place)
    log.info("Health: %s/_health", place)
