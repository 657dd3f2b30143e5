"""What form of answer is asked for; and that no framework is asked to find that out by itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import ROOT
from zerglings.accepting import LONGEST, is_for_a_person, media_types

UNSAFE = {"get_preferred_type", "accepts", "accepted_type", "accepted_types"}
"""Of Django's request: what looks up whatever codec a client names in a parameter."""


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/html", True),
        ("TEXT/HTML; q=0.9", True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("text/html;a*=nope''%41", True),
        ("application/json, text/html", False),
        ("text/htmlx", False),
        (",;,", False),
        ("text/html" + " " * (LONGEST - 9), True),
        ("text/html" + " " * (LONGEST - 8), False),
    ],
)
def test_a_page_is_for_who_asks_for_one_and_not_for_json(accept: str | None, is_page: bool) -> None:
    assert is_for_a_person(accept) is is_page


def test_no_parameter_is_looked_at() -> None:
    assert media_types("a/b;q=1 , c/d ;x*=nope''%41") == ["a/b", "c/d"]


def sources() -> Iterator[Path]:
    for package in ("overmind_project", "zerglings"):
        yield from (ROOT / package).rglob("*.py")


def test_no_framework_is_asked_what_a_request_accepts() -> None:
    seen = list(sources())
    assert len(seen) > 50
    for source in seen:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr not in UNSAFE, f"{source.name}:{node.lineno}"
