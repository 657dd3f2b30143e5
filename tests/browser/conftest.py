"""Fixtures: a browser, and the live map of a service in it, checked for console errors.

The tests of a module share one service, whose store is emptied after each of them. A module whose
tests stop the service, or start it with other settings, overrides ``service`` by ``own_service``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.live_map import LiveMap
from tests.support.backends import Backend
from tests.support.browser import Watch, chromium
from tests.support.service import Service
from zerglings.domain.zergling import COMMANDS_PER_REQUEST

Spawn = Callable[..., str]
Run = Callable[..., Any]
Command = Callable[[str, str], None]

expect.set_options(timeout=30_000)  # milliseconds, enough for a busy machine


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    """The embedded store by default, as the stores look the same in a browser."""
    backend: Backend = request.getfixturevalue(getattr(request, "param", "sqlite"))
    return backend


@pytest.fixture(scope="module")
def shared_service(shared: Service) -> Service:
    """On the embedded store only."""
    return shared


@pytest.fixture
def service(shared_service: Service) -> Iterator[Service]:
    """The service that the tests of a module share; every zergling is killed after each test."""
    yield shared_service
    for zergling in shared_service.call("GET", "/zerglings/").json.get("zerglings", []):
        shared_service.call("DELETE", f"/zerglings/{zergling['id']}")


@pytest.fixture
def own_service(backend: Backend, tmp_path: Path) -> Iterator[Service]:
    """A service that one test may stop, restart and configure."""
    with Service(backend.environment, tmp_path) as service:
        yield service


@pytest.fixture
def look() -> dict[str, Any]:
    """Playwright's options for the browser context, which a test may override."""
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
    """The map, not opened yet; any unexpected console error fails the test."""
    return watched[0]


@pytest.fixture
def watch(watched: tuple[LiveMap, Watch]) -> Watch:
    return watched[1]


@pytest.fixture(scope="module")
def run(browser: Browser, shared_service: Service) -> Iterator[Run]:
    """Runs a script with access to the page's modules, and returns its result."""
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{shared_service.port}/")
    page.evaluate(
        """async (names) => {
            const at = (name) => import(`/static/overmind/${name}.js`);
            window.modules = Object.assign({}, ...(await Promise.all(names.map(at))));
        }""",
        ["camera", "swarm", "listing", "search", "history/history", "history/path", "address"],
    )
    yield page.evaluate
    page.close()


@pytest.fixture
def command(service: Service) -> Command:
    """A function that sends a zergling any number of commands through the API."""

    def command(zergling_id: str, words: str) -> None:
        for start in range(0, len(words), COMMANDS_PER_REQUEST):
            body = json.dumps(words[start : start + COMMANDS_PER_REQUEST])
            assert service.call("POST", f"/zerglings/{zergling_id}", body).status == 200

    return command


@pytest.fixture
def spawn(service: Service) -> Spawn:
    """A function that spawns a zergling through the API and returns its id."""

    def spawn(x: int = 0, y: int = 0, facing: str = "N") -> str:
        body = json.dumps({"location": {"x": x, "y": y}, "facing": facing})
        reply = service.call("POST", "/zerglings/", body, {"Content-Type": "application/json"})
        assert reply.status == 201
        zergling_id: str = reply.json["zergling"]["id"]
        return zergling_id

    return spawn
