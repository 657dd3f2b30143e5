"""Zerglings from the shell: spawn, list, show, move, kill, watch."""

from __future__ import annotations

import re
import time
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from zerglings.api.renderers import to_json
from zerglings.api.serializers import parse_commands
from zerglings.domain.zergling import COORDINATE_LIMIT, FACINGS, Pose, RuleError, Zergling, undo
from zerglings.hive.change_events import DIED, MOVED, SPAWNED, Event
from zerglings.hive.hive import Hive, configured_hive
from zerglings.hive.mutations import NoSuchZergling, Refused
from zerglings.management.drawing import drawing
from zerglings.management.pipes import ending_with_its_reader
from zerglings.repository.retry_budget import TooMuchContention
from zerglings.storage.base import OutcomeUnknown, StoreError, UnknownPosition
from zerglings.transfer.retrying import with_retries

HELP = """\
Spawns, lists, shows, moves, kills and watches zerglings in the store that the settings name, beside
a working service or without one.
"""

MOST_AT_ONCE = 1_000_000
LATEST = 100
"""Words of a history to show and to draw at most."""

WAIT = 10.0
"""Seconds that one question for news may wait; then the next is asked."""

_PLACE = re.compile(r"(-?[0-9]{1,16}),(-?[0-9]{1,16})")
_COLUMNS = "{:<36}  {:<6}  {}"


def place(text: str) -> Pose:
    """Return a place on the grid, given as ``X,Y``."""
    match = _PLACE.fullmatch(text)
    pose = Pose(int(match[1]), int(match[2])) if match else None
    if pose is None or pose.reach > COORDINATE_LIMIT:
        raise ArgumentTypeError(f"{text!r} is not a place X,Y on the grid, as in --at=-3,4")
    return pose


def number(text: str) -> int:
    """Return a whole number from 1 on."""
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_AT_ONCE:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_AT_ONCE}")
    return int(text)


class Command(BaseCommand):
    """The swarm, from the shell."""

    help = HELP
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the subcommands."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

        def action(name: str, does: str, handler: Callable[..., None]) -> CommandParser:
            added: CommandParser = actions.add_parser(name, help=does, description=does)
            added.set_defaults(handler=handler)
            # Django's own, which would otherwise have to stand before the action.
            added.add_argument("--no-color", action="store_true", default=SUPPRESS, help=SUPPRESS)
            return added

        spawn = action("spawn", "Spawns zerglings and prints a line for each.", self._spawn)
        spawn.add_argument("--count", type=number, default=1, metavar="N", help="how many (1)")
        spawn.add_argument(
            "--at", type=place, default=Pose(), metavar="X,Y", help="where, as in --at=-3,4 (0,0)"
        )
        spawn.add_argument("--facing", choices=FACINGS, default=FACINGS[0], help="(N)")
        lists = action("list", "Lists the living in the order of their ids.", self._list)
        lists.add_argument("--limit", type=number, metavar="N", help="only the first so many")
        lists.add_argument("--json", action="store_true", help="one JSON object a line")
        show = action(
            "show", "Shows one, its latest commands and a drawing of its way.", self._show
        )
        move = action("move", "Moves one.", self._move)
        kill = action("kill", "Ends a zergling's life for ever.", self._kill)
        for one in (show, move, kill):
            one.add_argument("id", help="the zergling's id")
        move.add_argument("commands", help="L, R and M, as in MMRM; carried out together")
        action("watch", "Prints what happens as it happens, until Ctrl-C.", self._watch)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked for."""
        try:
            with ending_with_its_reader():
                options["handler"](configured_hive(), options)
        except NoSuchZergling as error:
            raise CommandError(
                "there is no zergling with this id: `swarm list` shows all"
            ) from error
        except TooMuchContention as error:
            raise CommandError("too many others command this zergling; try again") from error
        except OutcomeUnknown as error:
            raise CommandError(f"whether it was done is unknown: {error}; look first") from error
        except (Refused, RuleError, StoreError) as error:
            raise CommandError(str(error)) from error

    def _spawn(self, hive: Hive, options: dict[str, Any]) -> None:
        pose = replace(options["at"], facing=options["facing"])
        for outcomes in hive.swarm.spawn(options["count"], pose):
            for outcome in outcomes:
                if isinstance(outcome, Zergling):
                    self._write_row(outcome.id, outcome.pose)
            for outcome in outcomes:
                if isinstance(outcome, Exception):  # those that lived are told of before
                    raise outcome

    def _list(self, hive: Hive, options: dict[str, Any]) -> None:
        size = options["limit"]
        seen = (one for page in hive.pages() for one in page)
        if not options["json"]:
            header = _COLUMNS.format("ID", "FACING", "LOCATION")
            self.stdout.write(header, self.style.MIGRATE_HEADING)
        for zergling_id, pose in islice(seen, size):
            if options["json"]:
                location = {"x": pose.x, "y": pose.y}
                line = {"id": zergling_id, "location": location, "facing": pose.facing}
                self.stdout.write(to_json(line).decode())
            else:
                self._write_row(zergling_id, pose)

    def _show(self, hive: Hive, options: dict[str, Any]) -> None:
        zergling = hive.get(options["id"])
        words = zergling.history[-LATEST:]
        start = undo(zergling.pose, words)
        for name, value in (
            ("id", zergling.id),
            ("location", f"{zergling.pose.x},{zergling.pose.y}"),
            ("facing", zergling.pose.facing),
            ("spawned", f"{zergling.spawn.x},{zergling.spawn.y} {zergling.spawn.facing}"),
            ("commands", zergling.command_count),
            ("revision", zergling.revision),
            ("latest", _joined(words)),
        ):
            self.stdout.write(f"{self.style.MIGRATE_LABEL(f'{name:<8}')}  {value}".rstrip())
        if words:
            self.stdout.write("")
            for line in drawing(start, words):
                self.stdout.write(f"  {line}".rstrip())

    def _move(self, hive: Hive, options: dict[str, Any]) -> None:
        zergling = hive.command(options["id"], parse_commands(options["commands"]))
        self._write_row(zergling.id, zergling.pose)

    def _kill(self, hive: Hive, options: dict[str, Any]) -> None:
        hive.kill(options["id"])
        self.stdout.write(f"{options['id']}  died")

    def _watch(self, hive: Hive, options: dict[str, Any]) -> None:
        since: str | None = None
        while True:
            try:
                news = with_retries(partial(hive.news, since, wait=WAIT))
            except UnknownPosition:
                self.stderr.write("the store was replaced; some of what happened is not shown")
                since = None
                continue
            for event in news.events:
                self._write_event(event)
            self.stdout.flush()
            since = news.position

    def _write_event(self, event: Event) -> None:
        styles = {SPAWNED: self.style.SUCCESS, MOVED: self.style.NOTICE, DIED: self.style.ERROR}
        kind = styles[event.kind](f"{event.kind:<7}")
        line = f"{time.strftime('%H:%M:%S')}  {kind}  {event.id}"
        if event.zergling is not None and event.kind != DIED:
            pose = event.zergling.pose
            commands = event.zergling.command_count
            line += f"  {pose.facing}  {pose.x},{pose.y}  after {commands} commands"
        self.stdout.write(line)

    def _write_row(self, zergling_id: str, pose: Pose) -> None:
        self.stdout.write(_COLUMNS.format(zergling_id, pose.facing, f"{pose.x},{pose.y}"))


def _joined(words: Sequence[str]) -> str:
    """Return words of a history as they would be typed; the original recorded longer ones too."""
    return ("" if all(len(word) == 1 for word in words) else " ").join(words)
