"""Tests that the documentation's test runner detects pages that are wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proof.docs.walkthrough import Walkthrough
from tests.support.pages import Block, Command, Page

ONE, OTHER = "174c2c0a-d535-45fc-8797-6fa580cbb751", "d9c9df4e-034d-47de-9893-fe42aeae8121"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Walkthrough]:
    with Walkthrough(tmp_path) as walkthrough:
        yield walkthrough


def follow(reader: Walkthrough, command: str, output: str) -> None:
    reader.follow(Command(1, command, output))


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ('{"a":1}', '{"a":2}'),
        ('{"a":1}', ""),
        ("", '{"a":1}'),
        ("one\\ntwo", "one"),
        ("one", "one\n…\ntwo"),
        (f"{ONE} {OTHER}", f"{ONE} {ONE}"),
        ("2-5f0a", "2-5f6418023de800eb64f8ec9027da6ebc"),
        ("duration_ms=", "duration_ms=1.5"),
    ],
)
def test_a_different_output_is_detected(reader: Walkthrough, printed: str, told: str) -> None:
    with pytest.raises(AssertionError, match="should print"):
        follow(reader, f"printf '{printed}'", told)


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (f"{ONE} {ONE}", f"{OTHER} {OTHER}"),
        ("one\\ntwo\\nthree", "one\n…\nthree"),
        ("one\\ntwo", "one\n…"),
        ("one", "one\n…"),
        ("/tmp/x/z.sqlite3", "…/z.sqlite3"),
        ("duration_ms=17.25", "duration_ms=1.5"),
        ("2026-01-02T03:04:05.678Z", "1999-12-31T23:59:59.999Z"),
    ],
)
def test_output_that_may_vary_is_accepted(reader: Walkthrough, printed: str, told: str) -> None:
    follow(reader, f"printf '{printed}'", told)


def test_an_id_stands_for_the_same_value_throughout_a_page(reader: Walkthrough) -> None:
    follow(reader, f"printf {ONE}", OTHER)
    follow(reader, f"printf {OTHER}", OTHER)  # what is run is what it is here
    with pytest.raises(AssertionError):
        follow(reader, f"printf {OTHER[:-1]}0", OTHER)


def test_a_command_may_span_several_lines() -> None:
    block = Block("console", "$ curl \\\n> -i\n{}\n$ OVERMIND_STORE=sqlite python a", 7, False)
    assert block.commands == [
        Command(7, "curl \\\n-i", "{}"),
        Command(10, "OVERMIND_STORE=sqlite python a", ""),
    ]


@pytest.mark.parametrize("text", ["curl", "$ rm -r .", "$ make run", "$ A=b kubectl apply"])
def test_forbidden_commands_are_rejected(text: str) -> None:
    with pytest.raises(AssertionError):
        _ = Block("console", text, 1, is_by_hand=False).commands


def test_blocks_marked_as_run_by_hand_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        "```console\n$ curl a\n```\n\n<!-- by hand -->\n```console\n$ kubectl b\n```\n"
        "<!-- service: A=b -->\n```console\n$ curl c\n```\n"
    )
    assert Page(path).steps == [Command(2, "curl a", ""), {"A": "b"}, Command(11, "curl c", "")]
