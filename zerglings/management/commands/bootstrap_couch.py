"""The init container: brings the store from any state to ready."""

from __future__ import annotations

import json
import sys
import threading
from argparse import ArgumentTypeError, BooleanOptionalAction, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

from zerglings.secret import Secret
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
from zerglings.storage.couchdb.account import Account

READY, DRIFTED, MISCONFIGURED, TIMED_OUT, REFUSED, SERVER_ERROR = range(6)
GRACE = 0.5
"""Seconds after the deadline until a step that does not look at the clock is left alone."""

SHORTEST_SECRET = 4
"""Length from which a password is blotted out; a shorter one would blot out half of every line."""

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
            action=BooleanOptionalAction,
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

        def work() -> int:
            steps = chosen(_steps(run, options["only"], options["retire"]), options["only"])
            if options["check"]:
                return DRIFTED if find_drift(steps, self._report) else READY
            bring_about(steps, run, self._report)
            return READY

        try:
            status = _supervised(work, run)
        except BootstrapError as error:
            status = EXIT_STATUS.get(type(error), SERVER_ERROR)
            self._fail(str(error))
        sys.exit(status)

    def _report(self, step: str, status: Status, message: str) -> None:
        message = _without_secrets(message)
        if self._is_json:
            self._write_json(step, status, message)
        elif status in (Status.OK, Status.CHANGED):
            self.stdout.write(f"{step}: {message}")
        else:
            self.stdout.write(f"{step}: {status}: {message}")
        self.stdout.flush()

    def _fail(self, message: str) -> None:
        message = _without_secrets(message)
        if self._is_json:
            self._write_json("bootstrap", "failed", message)
        else:
            self.stderr.write(f"bootstrap: {message}")

    def _write_json(self, step: str, status: str, message: str) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "step": step, "status": status, "message": message}
        self.stdout.write(json.dumps(line))


def _supervised(work: Callable[[], int], run: Run) -> int:
    """Do the work in a thread beside this one, which stays free to hear signals and the clock.

    The resolver of names and the hashing of passwords hear neither, and no time-out of a socket
    bounds an answer that comes in drips.

    Raises:
        BootstrapError: as the work did, or the time is up.
    """
    outcome: list[int | BaseException] = []

    def do() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
            outcome.append(error)

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    while thread.is_alive():
        if run.seconds_left < -GRACE:
            raise TimedOut("the time is up while waiting for an answer")
        thread.join(0.1)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _without_secrets(message: str) -> str:
    """Return one line that repeats no password, whatever a server has answered."""
    for secret in (settings.COUCHDB_PASSWORD.read(), settings.COUCHDB_ADMIN_PASSWORD.read()):
        if len(secret) >= SHORTEST_SECRET:
            message = message.replace(secret, "***")
    return " ".join(message.split())


def _steps(run: Run, only: Sequence[str], retired: str) -> list[Step]:
    writes = set(only) == {"verify"}
    if settings.OVERMIND_STORE == "sqlite":
        if retired:
            raise Misconfigured("--retire: the embedded store has no accounts")
        return sqlite_steps(settings.OVERMIND_SQLITE_PATH)
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
        waits=set(only) == {"copies"},
        ca_file=settings.COUCHDB_CA_FILE,
    )
    return plan.steps(run)


def _account(username: str, password: Secret) -> Account:
    return Account(username, password.read, variable=password.name)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds
