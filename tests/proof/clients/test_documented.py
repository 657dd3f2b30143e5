"""Tests that the clients on the page about the API are generated and work as it shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.proof.clients.generators import ADDRESS, MODULES, run, run_python, run_typescript
from tests.support.pages import Page
from tests.support.service import ROOT, Service

PAGE = Page(ROOT / "docs" / "api.md")
GENERATORS = {"python": "openapi-python-client", "typescript": "openapi-typescript"}
LIBRARIES = {"python": "overmind_client", "typescript": "openapi-fetch"}
RUN = {"python": run_python, "typescript": run_typescript}


def block(language: str, word: str) -> str:
    """Return the only code block of a language that has a word."""
    (found,) = [
        each.text for each in PAGE.blocks if each.language == language and word in each.text
    ]
    return found


@pytest.mark.parametrize("language", GENERATORS)
def test_a_documented_client_prints_what_the_page_says(
    fresh: Service, language: str, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{fresh.port}"
    install, generate = block("sh", GENERATORS[language]).splitlines()
    assert " install " in install
    command = generate.removeprefix("npx ").replace(ADDRESS, address).split()
    run(*command, directory=tmp_path)
    program = block(language, LIBRARIES[language])
    said = [line.partition(" #")[2] or line.partition(" //")[2] for line in program.splitlines()]
    printed = RUN[language](program, address, tmp_path).splitlines()
    assert printed == [each.strip() for each in said if each]
    assert len(program.splitlines()) <= 12


def test_npm_packages_of_the_page_are_those_tested() -> None:
    install = block("sh", GENERATORS["typescript"]).splitlines()[0]
    for package in install.split()[2:]:
        name, _, major = package.partition("@")
        version = json.loads((MODULES / name / "package.json").read_text())["version"]
        assert version.split(".")[0] == major or not major, name
