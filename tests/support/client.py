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
from zerglings.secret import Secret
from zerglings.storage import configured_store


class ReadingClient(Client):
    """Reads a streamed answer to its end, as HTTP clients do."""

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
"""What the settings make of some variables."""


def settings_of(backend: Backend) -> dict[str, object]:
    """Return the settings that a service with the backend's environment has."""
    return {name: AS_SETTING.get(name, str)(value) for name, value in backend.environment.items()}


@contextmanager
def served_over(backend: Backend) -> Iterator[None]:
    """Have the application in this process use a backend inside the block."""
    with override_settings(**settings_of(backend)), configured_anew():
        yield


@contextmanager
def configured_anew() -> Iterator[None]:
    """Have store, hive, feed and document made from the settings in the block, and closed after."""
    _forget()
    try:
        yield
    finally:
        configured_feed().end()
        configured_store().close()
        _forget()


def _forget() -> None:
    for made in (configured_store, configured_hive, configured_feed, documents._document):
        made.cache_clear()
