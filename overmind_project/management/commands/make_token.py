"""Makes a token, and the line that makes it known to the service."""

from __future__ import annotations

import secrets
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from overmind_project.auth.tokens import NAME, SCOPES, line_of

BYTES = 32
"""Of randomness in a token: nobody guesses one, so a plain hash is enough to keep."""


def name(text: str) -> str:
    """Return a name that a token may have."""
    if not NAME.fullmatch(text):
        raise ArgumentTypeError("a name is 1 to 64 letters, digits and ._-, no sign first")
    return text


class Command(BaseCommand):
    """Print a new token and its line."""

    help = (
        "Prints a new token, this once, and its line for OVERMIND_TOKENS_FILE or OVERMIND_TOKENS."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name and the scope."""
        parser.add_argument("name", type=name, help="who will use it: it stands in the log")
        parser.add_argument("scope", choices=SCOPES, help="write includes read")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print both; nothing is kept."""
        token = secrets.token_urlsafe(BYTES)
        self.stdout.write(f"token {token}")
        self.stdout.write(f"line  {line_of(options['name'], options['scope'], token)}")
