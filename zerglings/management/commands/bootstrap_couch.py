"""The init container: brings the store from any state to ready."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from zerglings.storage.account import Account
from zerglings.storage.bootstrap import BootstrapError, Refused, Step, TimedOut, run
from zerglings.storage.couchdb_bootstrap import couchdb_steps
from zerglings.storage.sqlite_bootstrap import File

EXIT_CODES = {TimedOut: 2, Refused: 3}
"""Exit status by kind of failure; 0 is ready, 1 any other failure."""


class Command(BaseCommand):
    """Prepare the store that the settings name; safe to run at any time, by many at once."""

    help = "Waits for the store, then creates what is missing: the server admin, the database."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--timeout",
            type=float,
            default=300.0,
            help="seconds to wait in all; 0 waits for ever (default: %(default)g)",
        )

    def handle(self, *args: Any, timeout: float, **options: Any) -> None:
        """Run the steps; exit with the status that says what went wrong."""
        try:
            run(_steps(), timeout=timeout, report=self._report)
        except BootstrapError as error:
            self.stderr.write(f"bootstrap: {error}")
            sys.exit(EXIT_CODES.get(type(error), 1))

    def _report(self, step: str, line: str) -> None:
        self.stdout.write(f"{step}: {line}")
        self.stdout.flush()


def _steps() -> list[Step]:
    if settings.OVERMIND_STORE == "sqlite":
        return [File(settings.OVERMIND_SQLITE_PATH)]
    account = Account(settings.COUCHDB_ADMIN_USERNAME, settings.COUCHDB_ADMIN_PASSWORD.read)
    return couchdb_steps(settings.COUCHDB_URL, account, settings.COUCHDB_DATABASE)
