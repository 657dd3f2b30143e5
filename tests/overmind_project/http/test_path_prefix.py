"""Tests for valid path prefixes, and for finding a request's path below one."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import get_resolver

from overmind_project.http.path_prefix import SERVICE_SEGMENTS, PathPrefix, path_prefix


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("/overmind", "/overmind"),
        ("/overmind/", "/overmind"),
        ("/team-1/over.mind_2~", "/team-1/over.mind_2~"),
        ("/eventsource", "/eventsource"),
        ("/team/events", "/team/events"),
        ("/", ""),
    ],
)
def test_a_prefix_is_a_path_with_or_without_its_final_slash(given: str, taken: str) -> None:
    assert path_prefix(given) == taken


@pytest.mark.parametrize(
    "given",
    [
        "overmind",
        "//",
        "//overmind",
        "/over//mind",
        "/overmind//",
        "/./overmind",
        "/overmind/..",
        "/..",
        "/over mind",
        "/overmind\n",
        "/overmind?",
        "/overmind#a",
        "/over%20mind",
        "/überhirn",
        "/<script>",
        "https://example.org/overmind",
        "/" + "a" * 200,
        "/events",
        "/zerglings/a",
        "/static/",
    ],
)
def test_an_invalid_prefix_is_rejected(given: str) -> None:
    with pytest.raises(ValueError, match="is not a prefix"):
        path_prefix(given)


def test_the_first_segments_of_all_routes_are_reserved() -> None:
    routes = (str(pattern.pattern).lstrip("^") for pattern in get_resolver().url_patterns)
    first = {route.split("/")[0].rstrip("?$") for route in routes}
    assert first - {""} | {"static"} == SERVICE_SEGMENTS


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ("/a/b/zerglings/", "/zerglings/"),
        ("/a/b/", "/"),
        ("/a/b", "/"),
        ("/zerglings/", "/zerglings/"),
        ("/", "/"),
        ("/a/bc", "/a/bc"),
        ("/a", "/a"),
        ("/A/B/", "/A/B/"),
        ("/a/b/a/b/", "/a/b/"),
        ("/a/b//events", "//events"),
        ("*", "*"),
    ],
)
def test_the_prefix_is_removed_from_a_path_that_has_it(sent: str, found: str) -> None:
    seen: list[str] = []

    def inner(environ: dict[str, Any], _: object) -> list[bytes]:
        seen.append(environ["PATH_INFO"])
        return []

    PathPrefix(inner, "/a/b")({"PATH_INFO": sent}, lambda *_: None)  # type: ignore[arg-type]
    assert seen == [found]
