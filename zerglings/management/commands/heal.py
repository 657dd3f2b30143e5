"""``manage.py heal``: merges rival revisions, and removes what is no longer needed."""

from __future__ import annotations

import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from zerglings.hive.healing import Healer
from zerglings.storage import open_admin_store, open_exchanges, require_listed_peers
from zerglings.storage.base import AccountRefused, CopiesBehind, Store, StoreError
from zerglings.storage.regions.exchange import Part, PeerBehind

DAY = 24 * 60 * 60
WHOLENESS_TIMEOUT = 5.0
"""Timeout in seconds of each check of the cluster's nodes and copies."""

HELP = """\
Merges all rival revisions of zerglings. With the account of a server admin (COUCHDB_ADMIN_USERNAME
and COUCHDB_ADMIN_PASSWORD) it then removes zerglings that have been dead for longer than --grace,
removes parts of histories that no zergling refers to, and purges the merged revisions. It can run
while the service runs, and can be interrupted and run again.
"""


def days(text: str) -> float:
    """Parse a number of days; return seconds."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 10**6:
        raise ArgumentTypeError(f"{text!r} is not a number of days")
    return number * DAY


class Command(BaseCommand):
    """Merges, removes and purges, in this order."""

    help = HELP
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--grace",
            type=days,
            metavar="DAYS",
            default=settings.OVERMIND_HEAL_GRACE * DAY,
            help="days for which dead zerglings are kept (default: OVERMIND_HEAL_GRACE); must be "
            "longer than any node was ever disconnected",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run all steps, and print what each has done."""
        store = open_admin_store()
        healer = Healer(store, settings.OVERMIND_HISTORY_TAIL, exchange=_exchange)
        try:
            self._heal(store, healer, options["grace"])
        except StoreError as error:
            raise CommandError(f"heal stopped: {error}; run it again") from error
        finally:
            store.close()
            for failure in healer.failures:
                self.stderr.write(failure)
        if healer.failures:
            raise CommandError(f"{len(healer.failures)} steps or documents failed; run it again")

    def _heal(self, store: Store, healer: Healer, grace: float) -> None:
        self._report("zerglings with rival revisions merged", healer.merge)
        self._report("keys of bulk calls with rival records merged", healer.merge_keys)
        if (obstacle := _obstacle(store)) is not None:
            self.stdout.write(f"nothing was purged or removed: {obstacle}")
            return
        try:
            self._report("long dead removed", lambda: healer.remove_dead(time.time() - grace))
            self._report("unreachable parts of histories removed", healer.remove_unreachable)
            # Purging is last, because CouchDB 1.x may reject it.
            self._report("merged revisions purged", healer.purge)
        except PeerBehind as error:
            raise CommandError(f"nothing more was removed or purged: {error}") from error

    def _report(self, what: str, step: Callable[[], int]) -> None:
        self.stdout.write(f"{step():>8}  {what}")


def _exchange(part: Part) -> None:
    require_listed_peers()
    with open_exchanges(part) as exchanges:
        for exchange in exchanges:
            exchange.complete()


def _obstacle(store: Store) -> str | None:
    """Return why documents must not be removed or purged now, None if they may."""
    try:
        if not store.all_nodes_connected(timeout=WHOLENESS_TIMEOUT):
            return "not all nodes of the cluster are connected"
        store.check_copies(timeout=WHOLENESS_TIMEOUT)
        store.history.check_copies(timeout=WHOLENESS_TIMEOUT)
    except AccountRefused:
        return "the account is not a server admin's"
    except CopiesBehind as error:
        return str(error)
    return None
