"""Runs the API in this process over a given store, and calls it with Django's test client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, override_settings

from overmind_project.openapi import views as documents
from tests.support.backends import Backend
from zerglings.feed.reader import configured_feed
from zerglings.hive.hive import configured_hive
from zerglings.regions.monitor import configured_monitor
from zerglings.secret import Secret
from zerglings.storage import configured_store


class ReadingClient(Client):
    """A test client that reads a streamed response to its end."""

    def request(self, **request: Any) -> Any:
        reply = super().request(**request)
        if not isinstance(reply, StreamingHttpResponse):
            return reply
        content = b"".join(part for part in reply if isinstance(part, bytes))
        whole: Any = HttpResponse(content, status=reply.status_code, headers=dict(reply.items()))
        whole.json = lambda: json.loads(content)
        whole.was_streamed = True
        return whole


AS_SETTING: dict[str, Callable[[str], object]] = {
    "COUCHDB_PASSWORD": partial(Secret, "COUCHDB_PASSWORD"),
    "OVERMIND_SQLITE_PATH": Path,
}
"""Types of the settings that are not strings."""


def settings_of(backend: Backend) -> dict[str, object]:
    """Return the Django settings that the backend's environment results in."""
    return {name: AS_SETTING.get(name, str)(value) for name, value in backend.environment.items()}


@contextmanager
def served_over(backend: Backend) -> Iterator[None]:
    """Use a backend for the application in this process inside the block."""
    with override_settings(**settings_of(backend)), configured_anew():
        yield


@contextmanager
def configured_anew() -> Iterator[None]:
    """Recreate store, hive, feed and OpenAPI document from the settings, for the block."""
    _forget()
    try:
        yield
    finally:
        configured_feed().end()
        if (monitor := configured_monitor()) is not None:
            monitor.close()
        configured_store().close()
        _forget()


def _forget() -> None:
    for made in (configured_store, configured_hive, configured_feed, configured_monitor):
        made.cache_clear()
    documents._document.cache_clear()
