"""Runs every command in the documentation and compares the output with the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proof.docs.walkthrough import Walkthrough
from tests.support.pages import PAGES, Page

_RUN = [page for page in map(Page, PAGES) if page.steps]
_NEED_MORE = ("kubectl", "docker", "minikube", "k8s/", "make ", "wrk", "cosign", "COUCHDB_URL")
"""Words of commands that need a cluster, a registry, another machine or CouchDB."""


@pytest.mark.parametrize("page", _RUN, ids=[page.name for page in _RUN])
def test_the_commands_of_a_page_print_the_documented_output(page: Page, tmp_path: Path) -> None:
    with Walkthrough(tmp_path) as walkthrough:
        for step in page.steps:
            if isinstance(step, dict):
                walkthrough.give(step)
            else:
                walkthrough.follow(step)


def test_only_commands_that_a_test_cannot_run_are_marked_as_run_by_hand() -> None:
    for page in map(Page, PAGES):
        for block in page.blocks:
            if block.is_by_hand:
                assert any(word in block.text for word in _NEED_MORE), f"{page.name}:{block.line}"


def test_the_readme_and_the_api_page_are_run() -> None:
    assert {"README.md", "docs/api.md", "docs/operations.md"} <= {page.name for page in _RUN}
