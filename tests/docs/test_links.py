"""Tests that every link in the documentation leads to something that exists."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.pages import PAGES, Page
from tests.support.service import ROOT

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))

_FILE = re.compile(
    r"(?:zerglings|overmind_project|bench|tests|k8s|docs|\.ci)/[\w./-]+\.(?:py|sh|md|json|yaml|png)"
)


@each_page
def test_targets_of_links_and_pictures_exist(path: Path) -> None:
    for link in Page(path).links:
        place, _, anchor = link.partition("#")
        target = (path.parent / unquote(place)).resolve() if place else path
        assert target.exists(), link
        if anchor:
            assert anchor in Page(target).anchors, link


@each_page
def test_named_files_exist(path: Path) -> None:
    for name in (name for code in Page(path).code for name in _FILE.findall(code)):
        assert (ROOT / name).exists(), name


def test_every_page_is_reachable_from_the_readme() -> None:
    readme = PAGES[0]
    reached = {(readme.parent / link.partition("#")[0]).resolve() for link in Page(readme).links}
    assert set(ROOT.glob("docs/*.md")) <= reached
