"""`manage.py make_token`: creates an access token and its configuration line."""

from __future__ import annotations

import secrets
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from overmind_project.auth.tokens import NAME, SCOPES, line_of

BYTES = 32
"""Random bytes in a token. With this much entropy, a fast hash without salt is safe."""


def name(text: str) -> str:
    """Return the name if it is valid.

    Raises:
        ArgumentTypeError: the name is invalid.
    """
    if not NAME.fullmatch(text):
        raise ArgumentTypeError(
            "a name has 1 to 64 letters, digits and ._-, and begins with a letter or a digit"
        )
    return text


class Command(BaseCommand):
    """Prints a new token and its configuration line."""

    help = (
        "Creates a token. Prints it, and its line for OVERMIND_TOKENS_FILE or OVERMIND_TOKENS. "
        "The token is not stored anywhere."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the name and the scope."""
        parser.add_argument("name", type=name, help="the user or program; shown in the log")
        parser.add_argument("scope", choices=SCOPES, help="write includes read")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the token and its line; store nothing."""
        token = secrets.token_urlsafe(BYTES)
        self.stdout.write(f"token {token}")
        self.stdout.write(f"line  {line_of(options['name'], options['scope'], token)}")
