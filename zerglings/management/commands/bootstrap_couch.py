"""The init container: brings the store from any state to ready."""

from __future__ import annotations

import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

from overmind_project.env import Secret
from zerglings.storage.account import Account
from zerglings.storage.bootstrap.plan import STEPS, CouchDBPlan, chosen, sqlite_steps
from zerglings.storage.bootstrap.runner import (
    BootstrapError,
    Misconfigured,
    Refused,
    Run,
    Status,
    Step,
    TimedOut,
    bring_about,
    find_drift,
)

READY, DRIFTED, MISCONFIGURED, TIMED_OUT, REFUSED, SERVER_ERROR = range(6)
EXIT_STATUS = {Misconfigured: MISCONFIGURED, TimedOut: TIMED_OUT, Refused: REFUSED}

EPILOG = f"""\
steps, each looked at first and left alone where it holds:
{chr(10).join(f"  {step.name:<9} {step.wants}" for step in STEPS)}

Run it as often as you like, by as many at once as you like, and kill it whenever you like: the
next run goes on from whatever it finds. It removes nothing but an account named by --retire.

exit status:
  0  ready
  1  --check found something that is not as it should be
  2  wrong option or configuration
  3  timed out
  4  CouchDB refuses an account
  5  CouchDB, or the file, will not do what has to be done

Every option can also be given in the environment: OVERMIND_BOOTSTRAP_TIMEOUT, _CHECK, _ONLY
(steps separated by commas), _RETIRE and _FORMAT.
"""


class HelpFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Django's, which leaves the lines of the epilog as they are."""


class Command(BaseCommand):
    """Prepare the store that the settings name."""

    help = "Brings CouchDB, or the embedded store's file, from any state to ready."
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Let the help teach."""
        return super().create_parser(
            prog_name, subcommand, epilog=EPILOG, formatter_class=HelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        add = parser.add_argument
        add(
            "--timeout",
            type=_seconds,
            default=settings.OVERMIND_BOOTSTRAP_TIMEOUT,
            metavar="S",
            help="seconds for everything together; 0 waits for ever (default: %(default)s)",
        )
        add(
            "--check",
            action="store_true",
            default=settings.OVERMIND_BOOTSTRAP_CHECK,
            help="change nothing, wait for nothing, list what is not as it should be",
        )
        add(
            "--only",
            nargs="+",
            default=settings.OVERMIND_BOOTSTRAP_ONLY,
            metavar="STEP",
            help="only these steps",
        )
        add(
            "--retire",
            default=settings.OVERMIND_BOOTSTRAP_RETIRE,
            metavar="NAME",
            help="last of all remove this account, which the service used before",
        )
        add(
            "--format",
            choices=("text", "json"),
            default=settings.OVERMIND_BOOTSTRAP_FORMAT,
            help="lines for people, or one JSON object a line (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the steps; exit with the status that says how it went."""
        self._is_json = options["format"] == "json"
        run = Run(timeout=options["timeout"])
        try:
            steps = chosen(_steps(run, options["only"], options["retire"]), options["only"])
            if options["check"]:
                status = DRIFTED if find_drift(steps, self._report) else READY
            else:
                bring_about(steps, run, self._report)
                status = READY
        except BootstrapError as error:
            status = EXIT_STATUS.get(type(error), SERVER_ERROR)
            self._fail(str(error))
        sys.exit(status)

    def _report(self, step: str, status: Status, message: str) -> None:
        if self._is_json:
            self._write_json(step, status, message)
        elif status in (Status.OK, Status.CHANGED):
            self.stdout.write(f"{step}: {message}")
        else:
            self.stdout.write(f"{step}: {status}: {message}")
        self.stdout.flush()

    def _fail(self, message: str) -> None:
        if self._is_json:
            self._write_json("bootstrap", "failed", message)
        else:
            self.stderr.write(f"bootstrap: {message}")

    def _write_json(self, step: str, status: str, message: str) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "step": step, "status": status, "message": message}
        self.stdout.write(json.dumps(line))


def _steps(run: Run, only: Sequence[str], retired: str) -> list[Step]:
    writes = list(only) == ["verify"]
    if settings.OVERMIND_STORE == "sqlite":
        if retired:
            raise Misconfigured("--retire: the embedded store has no accounts")
        return sqlite_steps(settings.OVERMIND_SQLITE_PATH, run, writes=writes)
    shards = {"q": settings.COUCHDB_Q, "n": settings.COUCHDB_N}
    plan = CouchDBPlan(
        url=settings.COUCHDB_URL,
        admin=_account(settings.COUCHDB_ADMIN_USERNAME, settings.COUCHDB_ADMIN_PASSWORD),
        service=_account(settings.COUCHDB_USERNAME, settings.COUCHDB_PASSWORD),
        database=settings.COUCHDB_DATABASE,
        nodes=settings.COUCHDB_CLUSTER_NODES,
        shards={name: number for name, number in shards.items() if number is not None},
        revs_limit=settings.COUCHDB_REVS_LIMIT,
        retired=retired or None,
        writes=writes,
    )
    return plan.steps(run)


def _account(username: str, password: Secret) -> Account:
    return Account(username, password.read, variable=password.name)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError(text)
    return seconds
