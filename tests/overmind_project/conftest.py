"""Fixtures: the API where tokens are configured."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from overmind_project.auth.access import configured_tokens
from tests.support.tokens import LINES
from zerglings.secret import Secret


@pytest.fixture
def closed(api: Client, settings: Settings) -> Iterator[Client]:
    """The API with a read token and a write token; the client does not read streams to the end."""
    settings.OVERMIND_TOKENS = Secret("OVERMIND_TOKENS", LINES)
    configured_tokens.cache_clear()
    yield Client()
    configured_tokens.cache_clear()
