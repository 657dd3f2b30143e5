"""``manage.py bootstrap_couch``: prepares the store. It runs as the pods' init container."""

from __future__ import annotations

import json
import sys
import threading
from argparse import ArgumentTypeError, BooleanOptionalAction, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

from zerglings.secret import Secret
from zerglings.storage import open_exchanges
from zerglings.storage.bootstrap.plan import STEPS, CouchDBPlan, chosen, sqlite_steps
from zerglings.storage.bootstrap.replication.health import START_LIMIT
from zerglings.storage.bootstrap.replication.step import Replicate
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
from zerglings.storage.regions.replications import Peers

READY, DRIFTED, MISCONFIGURED, TIMED_OUT, REFUSED, SERVER_ERROR = range(6)
GRACE = 0.5
"""Extra seconds after the deadline. Then a step that ignores the deadline is abandoned."""

SHORTEST_SECRET = 4
"""Minimum length of a masked password in characters. Shorter ones occur in ordinary words."""

EXIT_STATUS = {Misconfigured: MISCONFIGURED, TimedOut: TIMED_OUT, Refused: REFUSED}

EPILOG = f"""\
steps, each checked first and skipped if nothing has to be done:
{chr(10).join(f"  {step.name:<9} {step.required_state}" for step in STEPS)}

It can be run at any time, any number of times and by many pods at once. After an interruption the
next run continues. It deletes nothing except the account named by --retire, replications of its own
from peers that COUCHDB_PEERS no longer lists, with the heartbeats of these regions, and with
--refetch former checkpoints of replications.

exit status:
  0  ready
  1  --check found a difference from the required state
  2  wrong option or configuration
  3  timed out
  4  CouchDB refuses an account
  5  CouchDB or the file system reports another error

Every option can also be given in the environment: OVERMIND_BOOTSTRAP_TIMEOUT, _CHECK, _ONLY
(steps separated by commas), _RETIRE, _REFETCH and _FORMAT.
"""


class HelpFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Django's formatter, but with the line breaks of the epilog."""


class Command(BaseCommand):
    """Prepare the store that the settings select."""

    help = "Brings CouchDB, or the embedded store's file, from any state to ready."
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Add the epilog to the help."""
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
            help="seconds for all steps together; 0 is no limit (default: %(default)s)",
        )
        add(
            "--check",
            action=BooleanOptionalAction,
            default=settings.OVERMIND_BOOTSTRAP_CHECK,
            help="change nothing and do not wait; list the differences from the required state",
        )
        add(
            "--only",
            nargs="+",
            default=settings.OVERMIND_BOOTSTRAP_ONLY,
            metavar="STEP",
            help="run these steps only",
        )
        add(
            "--retire",
            default=settings.OVERMIND_BOOTSTRAP_RETIRE,
            metavar="NAME",
            help="at the end delete this account, which the service used before",
        )
        add(
            "--refetch",
            action=BooleanOptionalAction,
            default=settings.OVERMIND_BOOTSTRAP_REFETCH,
            help="have CouchDB compare everything with the peers once more, and fetch what is "
            "missing here",
        )
        add(
            "--format",
            choices=("text", "json"),
            default=settings.OVERMIND_BOOTSTRAP_FORMAT,
            help="plain text, or one JSON object per line (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the steps, and exit with a status of the epilog's table."""
        self._is_json = options["format"] == "json"
        run = Run(timeout=options["timeout"])

        def work() -> int:
            with ExitStack() as peers:
                steps = chosen(_steps(run, options, peers), options["only"])
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
    """Run ``work`` in another thread, so that this one can handle signals and the deadline.

    Name resolution and password hashing ignore both, and a socket timeout does not limit a response
    that arrives byte by byte.

    Raises:
        BootstrapError: the work failed, or the deadline has passed.
    """
    outcome: list[int | BaseException] = []

    def do() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - the main thread raises it again
            outcome.append(error)

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    while thread.is_alive():
        if run.seconds_left < -GRACE:
            raise TimedOut("timed out while waiting for an answer")
        thread.join(0.1)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _without_secrets(message: str) -> str:
    """Return a message as one line. Passwords, which a server may have echoed, are masked."""
    for each in (
        settings.COUCHDB_PASSWORD,
        settings.COUCHDB_ADMIN_PASSWORD,
        settings.COUCHDB_PEERS_PASSWORD,
    ):
        secret = each.read()
        if len(secret) >= SHORTEST_SECRET:
            message = message.replace(secret, "***")
    return " ".join(message.split())


def _steps(run: Run, options: Mapping[str, Any], peers: ExitStack) -> list[Step]:
    """Return the steps of the configured store. ``peers`` closes connections to other regions.

    If ``verify`` is the only step in ``--only``, it always writes. If ``copies`` is the only one,
    it waits until all copies are complete. If ``replicate`` is the only one, it looks at the peers,
    as with ``--check``, and waits until the replications have started; the start of a pod does not.
    """
    only, retired = set(options["only"]), options["retire"]
    _check_refetch(options)
    looks_closely = options["check"] or only == {Replicate.name}
    if settings.OVERMIND_STORE == "sqlite":
        if retired:
            raise Misconfigured("--retire: the embedded store has no accounts")
        return sqlite_steps(settings.OVERMIND_SQLITE_PATH)
    shards = {"q": settings.COUCHDB_Q, "n": settings.COUCHDB_N}
    exchanges = open_exchanges("zerglings", "history")
    plan = CouchDBPlan(
        url=settings.COUCHDB_URL,
        admin=_account(settings.COUCHDB_ADMIN_USERNAME, settings.COUCHDB_ADMIN_PASSWORD),
        service=_account(settings.COUCHDB_USERNAME, settings.COUCHDB_PASSWORD),
        database=settings.COUCHDB_DATABASE,
        nodes=settings.COUCHDB_CLUSTER_NODES,
        shards={name: number for name, number in shards.items() if number is not None},
        revs_limit=settings.COUCHDB_REVS_LIMIT,
        retired=retired or None,
        writes=only == {"verify"},
        waits=only == {"copies"},
        ca_file=settings.COUCHDB_CA_FILE,
        peers=_peers(),
        exchanges=peers.enter_context(exchanges) if looks_closely else (),
        start_limit=START_LIMIT if looks_closely else 0,
        refetches=options["refetch"],
    )
    return plan.steps(run)


def _check_refetch(options: Mapping[str, Any]) -> None:
    """Reject ``--refetch`` where it would do nothing."""
    if not options["refetch"]:
        return
    if settings.OVERMIND_STORE == "sqlite" or not settings.COUCHDB_PEERS:
        raise Misconfigured("--refetch: there are no peers; list them in COUCHDB_PEERS")
    if options["check"]:
        raise Misconfigured("--refetch: --check changes nothing; leave one of them out")
    if options["only"] and Replicate.name not in options["only"]:
        raise Misconfigured(f"--refetch: --only leaves out the step {Replicate.name!r}; add it")


def _peers() -> Peers | None:
    if not settings.COUCHDB_PEERS:
        return None
    account = _account(settings.COUCHDB_PEERS_USERNAME, settings.COUCHDB_PEERS_PASSWORD)
    return Peers(settings.OVERMIND_REGION, settings.COUCHDB_PEERS, account)


def _account(username: str, password: Secret) -> Account:
    return Account(username, password.read, variable=password.name)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0 on")
    return seconds
