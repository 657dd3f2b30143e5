"""Tests that a browser behind nginx requests only URLs below the path prefix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.live_map import LiveMap
from tests.browser.prefixed import walk
from tests.proof.proxies.nginx import nginx
from tests.support.backends import Backend
from tests.support.browser import Watch, chromium
from tests.support.service import Service
from tests.support.tokens import LINES

PREFIX = "/team/overmind"
LOCATIONS = """
location {prefix}/ {{
    proxy_pass http://127.0.0.1:{port}{rest};
    proxy_set_header Host $http_host;
    proxy_buffering off;
}}
location / {{ return 418; }}
"""


@pytest.mark.parametrize("rest", ["", "/"], ids=["left", "taken off"])
def test_all_requests_of_the_pages_are_below_the_prefix(
    sqlite: Backend, tmp_path: Path, rest: str
) -> None:
    settings = {"OVERMIND_PATH_PREFIX": PREFIX, "OVERMIND_TOKENS": LINES}
    with (
        Service(sqlite.environment | settings, tmp_path) as service,
        nginx(tmp_path, LOCATIONS.format(prefix=PREFIX, port=service.port, rest=rest)) as port,
        chromium() as browser,
    ):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        watch = Watch(context, f"127.0.0.1:{port}")
        watch.expected = ["the server responded with a status of 401"]  # before signing in
        walk(LiveMap(context.new_page(), f"http://127.0.0.1:{port}{PREFIX}/"), PREFIX)
        context.close()
        watch.check()
