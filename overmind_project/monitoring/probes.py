"""The health endpoints.

`/_health` is for clients of the original, `/healthz` and `/readyz` are for probes.
"""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse

from overmind_project import __version__
from zerglings.api.exceptions import error_response
from zerglings.api.renderers import json_response
from zerglings.hive.hive import configured_hive
from zerglings.storage.base import AccountRefused, NotBootstrapped, StoreUnavailable

logger = logging.getLogger(__name__)

_WHY_NOT_READY: dict[type[StoreUnavailable], str] = {
    AccountRefused: "the store refuses the service's account",
    NotBootstrapped: "the store is not prepared; run manage.py bootstrap_couch",
}
"""The public reason. The log has the details: which store, and its answer."""


def health(request: HttpRequest) -> HttpResponse:
    """Report in the original's format whether the store answers; always 200."""
    brain = "ok" if configured_hive().is_healthy() else "damaged"
    return json_response({"health": {"version": __version__, "brain": brain}})


def healthz(request: HttpRequest) -> HttpResponse:
    """Return 200 while the process can serve, without calling the store."""
    return json_response({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Return 200 if the store answers and is bootstrapped, else 503 with the reason."""
    try:
        configured_hive().check_ready()
    except StoreUnavailable as error:
        logger.warning("Not ready: %s: %s", type(error).__name__, error)
        why = _WHY_NOT_READY.get(type(error), "the store does not answer")
        return error_response(503, f"Not ready: {why}.")
    return json_response({"status": "ready"})


PROBE_VIEWS = (health, healthz, readyz)
"""The views that answer under any Host header and are never rate limited."""
