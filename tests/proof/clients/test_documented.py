"""Tests that the clients on the page about the API are generated and work as it shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.proof.clients.generators import ADDRESS, MODULES, TOKEN, run, run_python, run_typescript
from tests.support.pages import Page
from tests.support.service import ROOT, Service

PAGE = Page(ROOT / "docs" / "api.md")
GENERATORS = {"python": "openapi-python-client", "typescript": "openapi-typescript"}
LIBRARIES = {"python": "overmind_client", "typescript": "createClient"}
RUN = {"python": run_python, "typescript": run_typescript}
LONGEST = 12
"""Lines of a program on the page."""


def blocks(language: str, word: str, *, has_token: bool = False) -> list[str]:
    """Return the code blocks of a language that have a word: those without or with a token."""
    return [
        each.text
        for each in PAGE.blocks
        if each.language == language and word in each.text and (TOKEN in each.text) == has_token
    ]


def shell(line: str, address: str, directory: Path) -> None:
    """Run a line of a shell block."""
    run("sh", "-c", line.removeprefix("npx ").replace(ADDRESS, address), directory=directory)


def installed_and_generated(language: str) -> list[str]:
    """Return the line that installs a generator, and the line that runs it."""
    (block,) = blocks("sh", GENERATORS[language])
    return block.splitlines()


def programs(language: str) -> str:
    """Return the programs of a language; each continues the one before."""
    found = blocks(language, LIBRARIES[language])
    assert all(len(each.splitlines()) <= LONGEST for each in found)
    return "\n".join(found)


def with_token(program: str, language: str) -> str:
    """Return a program with the lines that the page has for a token.

    Such a line replaces the line that begins with the same two words. The others come first.
    """
    (block,) = blocks(language, LIBRARIES[language], has_token=True)
    lines = {tuple(line.split()[:2]): line for line in block.splitlines() if line}
    changed = [lines.pop(tuple(line.split()[:2]), line) for line in program.splitlines()]
    return "\n".join([*lines.values(), *changed])


def assert_prints_its_comments(language: str, program: str, address: str, directory: Path) -> None:
    said = [line.partition(" #")[2] or line.partition(" //")[2] for line in program.splitlines()]
    expected = [each.strip() for each in said if each]
    assert expected
    assert RUN[language](program, address, directory).splitlines() == expected


@pytest.mark.parametrize("language", GENERATORS)
def test_a_documented_client_prints_what_the_page_says(
    fresh: Service, language: str, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{fresh.port}"
    install, generate = installed_and_generated(language)
    assert " install " in install
    shell(generate, address, tmp_path)
    assert_prints_its_comments(language, programs(language), address, tmp_path)


@pytest.mark.parametrize("language", GENERATORS)
def test_a_documented_client_with_a_token_prints_the_same(
    restricted: Service, language: str, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{restricted.port}"
    (lines,) = blocks("sh", GENERATORS[language], has_token=True)
    for line in lines.splitlines():
        shell(line, address, tmp_path)
    program = with_token(programs(language), language)
    assert_prints_its_comments(language, program, address, tmp_path)


def test_npm_packages_of_the_page_are_those_tested() -> None:
    install, _ = installed_and_generated("typescript")
    for package in install.split()[2:]:
        name, _, major = package.partition("@")
        version = json.loads((MODULES / name / "package.json").read_text())["version"]
        assert version.split(".")[0] == major or not major, name
