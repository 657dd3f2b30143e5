"""Fixtures: a browser, and the map of a service of its own in it, watched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.backends import Backend
from tests.support.browser import Watch, chromium
from tests.support.live_map import LiveMap
from tests.support.service import Service

Spawn = Callable[..., str]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    """The embedded store unless a test names others: a browser cannot tell them apart."""
    backend: Backend = request.getfixturevalue(getattr(request, "param", "sqlite"))
    return backend


@pytest.fixture
def look() -> dict[str, Any]:
    """What kind of browser it is, for tests to change: Playwright's options of a context."""
    return {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture
def watched(
    browser: Browser, service: Service, look: dict[str, Any]
) -> Iterator[tuple[LiveMap, Watch]]:
    host = f"127.0.0.1:{service.port}"
    context = browser.new_context(**look)
    watch = Watch(context, host)
    yield LiveMap(context.new_page(), f"http://{host}/"), watch
    context.close()
    watch.check()


@pytest.fixture
def live_map(watched: tuple[LiveMap, Watch]) -> LiveMap:
    """The map, not opened yet; nothing may go wrong in it."""
    return watched[0]


@pytest.fixture
def watch(watched: tuple[LiveMap, Watch]) -> Watch:
    return watched[1]


@pytest.fixture
def spawn(service: Service) -> Spawn:
    """Spawns a zergling behind the page's back and returns its id."""

    def spawn(x: int = 0, y: int = 0, facing: str = "N") -> str:
        body = json.dumps({"location": {"x": x, "y": y}, "facing": facing})
        reply = service.call("POST", "/zerglings/", body, {"Content-Type": "application/json"})
        assert reply.status == 201
        zergling_id: str = reply.json["zergling"]["id"]
        return zergling_id

    return spawn
