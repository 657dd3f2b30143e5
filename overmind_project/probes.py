"""The three health URLs: for people, for the liveness probe and for the startup probe."""

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
"""What may be said to anybody; which store, and what it said, is in the log."""


def health(request: HttpRequest) -> HttpResponse:
    """Say in the original's words whether the brain answers; always 200."""
    brain = "ok" if configured_hive().is_healthy() else "damaged"
    return json_response({"health": {"version": __version__, "brain": brain}})


def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 while the process can serve, whatever the store does."""
    return json_response({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when the store answers and is bootstrapped, else 503 and why not."""
    try:
        configured_hive().check_ready()
    except StoreUnavailable as error:
        logger.warning("Not ready: %s: %s", type(error).__name__, error)
        why = _WHY_NOT_READY.get(type(error), "the store does not answer")
        return error_response(503, f"Not ready: {why}.")
    return json_response({"status": "ready"})


PROBES = (health, healthz, readyz)
