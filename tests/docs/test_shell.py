"""Tests that the blocks of shell commands in the documentation can be pasted."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.pages import PAGES, Page

BLOCKS = [
    pytest.param(block.text, id=f"{page.name}:{block.line}")
    for page in map(Page, PAGES)
    for block in page.blocks
    if block.language == "sh"
]


@pytest.mark.parametrize("text", BLOCKS)
def test_blocks_are_valid_bash(text: str) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
