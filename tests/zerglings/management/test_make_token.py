"""Tests for `manage.py make_token`: a new token and its line for the token file."""

from __future__ import annotations

import hashlib
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from overmind_project.auth.tokens import tokens_of
from zerglings.secret import Secret


def made(*arguments: str) -> tuple[str, str]:
    out = StringIO()
    call_command("make_token", *arguments, stdout=out)
    (_, token), (_, line) = (each.split() for each in out.getvalue().splitlines())
    return token, line


@pytest.mark.parametrize("scope", ["read", "write"])
def test_the_settings_accept_the_line(scope: str) -> None:
    token, line = made("ci-1.a_b", scope)
    (known,) = tokens_of(Secret("OVERMIND_TOKENS", line))
    assert (known.name, known.scope) == ("ci-1.a_b", scope)
    assert known.digest == hashlib.sha256(token.encode()).digest()


def test_tokens_are_unique_and_long() -> None:
    tokens = {made("ci", "read")[0] for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) >= 43 for token in tokens)


@pytest.mark.parametrize(
    "arguments", [[], ["ci"], ["ci", "admin"], ["c i", "read"], ["ci:x", "read"], ["", "read"]]
)
def test_invalid_names_and_scopes_are_rejected(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        made(*arguments)
