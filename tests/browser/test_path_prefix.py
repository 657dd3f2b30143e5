"""Tests for the pages below a path prefix, behind a proxy that does not strip the prefix."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser.live_map import LiveMap
from tests.browser.prefixed import walk
from tests.support.backends import Backend
from tests.support.browser import Watch
from tests.support.service import Service
from tests.support.tokens import LINES

PREFIX = "/team/overmind"


@pytest.fixture
def backend(sqlite: Backend) -> Backend:
    more = {"OVERMIND_PATH_PREFIX": PREFIX, "OVERMIND_TOKENS": LINES}
    return Backend(sqlite.environment | more)


def test_all_requests_of_the_pages_are_below_the_prefix(
    browser: Browser, own_service: Service
) -> None:
    host = f"127.0.0.1:{own_service.port}"
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    watch = Watch(context, host)
    watch.expected = ["the server responded with a status of 401"]  # before signing in
    walk(LiveMap(context.new_page(), f"http://{host}{PREFIX}/"), PREFIX)
    context.close()
    watch.check()
