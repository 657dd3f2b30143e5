"""``manage.py swarm``: spawns, lists, shows, moves, kills and watches zerglings."""

from __future__ import annotations

import re
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from zerglings.api.renderers import to_json
from zerglings.api.serializers import parse_commands
from zerglings.domain.pose import FACINGS, Pose, undo
from zerglings.domain.zergling import COORDINATE_LIMIT, RuleError, Zergling
from zerglings.hive.hive import Hive, configured_hive
from zerglings.hive.mutations import MutationRefused, NoSuchZergling
from zerglings.management.drawing import drawing
from zerglings.management.pipes import exit_on_broken_pipe
from zerglings.management.watching import LineWatch, ScreenWatch, can_draw
from zerglings.repository.retry_budget import TooMuchContention
from zerglings.storage.base import OutcomeUnknown, StoreError

HELP = """\
Spawns, lists, shows, moves, kills and watches zerglings in the configured store. The service may be
running, but need not.
"""

MAX_NUMBER = 1_000_000
"""Maximum number of zerglings to spawn or to list at once."""

LATEST = 100
"""Maximum number of commands of a history to print and to draw."""

_LOCATION = re.compile(r"(-?[0-9]{1,16}),(-?[0-9]{1,16})")
_COLUMNS = "{:<36}  {:<6}  {}"


def location(text: str) -> Pose:
    """Parse a location, ``X,Y`` in grid steps; return a pose facing north."""
    match = _LOCATION.fullmatch(text)
    pose = Pose(int(match[1]), int(match[2])) if match else None
    if pose is None or pose.reach > COORDINATE_LIMIT:
        raise ArgumentTypeError(f"{text!r} is not a location X,Y on the grid, as in --at=-3,4")
    return pose


def number(text: str) -> int:
    """Parse a number from 1 to ``MAX_NUMBER``."""
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_NUMBER:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_NUMBER}")
    return int(text)


class Command(BaseCommand):
    """Has one subcommand for each action."""

    help = HELP
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the subcommands."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

        def action(name: str, description: str, handler: Callable[..., None]) -> CommandParser:
            subparser: CommandParser = actions.add_parser(
                name, help=description, description=description
            )
            subparser.set_defaults(handler=handler)
            # Django's option, which argparse would otherwise accept before the action only.
            subparser.add_argument(
                "--no-color", action="store_true", default=SUPPRESS, help=SUPPRESS
            )
            return subparser

        spawn = action("spawn", "Spawns zerglings and prints one line for each.", self._spawn)
        spawn.add_argument(
            "--count", type=number, default=1, metavar="N", help="how many (default: 1)"
        )
        spawn.add_argument(
            "--at",
            type=location,
            default=Pose(),
            metavar="X,Y",
            help="location, as in --at=-3,4 (default: 0,0)",
        )
        spawn.add_argument(
            "--facing", choices=FACINGS, default=FACINGS[0], help="facing (default: N)"
        )
        lists = action("list", "Lists the living zerglings in the order of their ids.", self._list)
        lists.add_argument("--limit", type=number, metavar="N", help="only the first N")
        lists.add_argument("--json", action="store_true", help="one JSON object per line")
        show = action(
            "show", "Shows a zergling, its latest commands and a drawing of its path.", self._show
        )
        move = action("move", "Sends commands to a zergling.", self._move)
        kill = action("kill", "Kills a zergling for good.", self._kill)
        for one in (show, move, kill):
            one.add_argument("id", help="the zergling's id")
        move.add_argument("commands", help="L, R and M, as in MMRM; executed as one write")
        watch = action(
            "watch",
            "Shows the zerglings on a grid and the latest changes, until Ctrl-C. "
            "Prints one line for each change if the output is no terminal, or a dumb one.",
            self._watch,
        )
        watch.add_argument("--plain", action="store_true", help="print lines on a terminal, too")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the action, and turn its errors into messages."""
        try:
            with exit_on_broken_pipe():
                options["handler"](configured_hive(), options)
        except NoSuchZergling as error:
            raise CommandError(
                "there is no zergling with this id: `swarm list` shows all"
            ) from error
        except TooMuchContention as error:
            raise CommandError("too many other clients command this zergling; try again") from error
        except OutcomeUnknown as error:
            raise CommandError(
                f"the outcome is unknown: {error}; check before you repeat it"
            ) from error
        except (MutationRefused, RuleError, StoreError) as error:
            raise CommandError(str(error)) from error

    def _spawn(self, hive: Hive, options: dict[str, Any]) -> None:
        pose = replace(options["at"], facing=options["facing"])
        for outcomes in hive.bulk.spawn(options["count"], pose):
            for outcome in outcomes:
                if isinstance(outcome, Zergling):
                    self._write_row(outcome.id, outcome.pose)
            for outcome in outcomes:
                if isinstance(outcome, Exception):  # after the rows of those that were spawned
                    raise outcome

    def _list(self, hive: Hive, options: dict[str, Any]) -> None:
        limit = options["limit"]
        summaries = (summary for page in hive.pages() for summary in page)
        if not options["json"]:
            header = _COLUMNS.format("ID", "FACING", "LOCATION")
            self.stdout.write(header, self.style.MIGRATE_HEADING)
        for zergling_id, pose in islice(summaries, limit):
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
        console = Console(no_color=options["no_color"] or None)
        if options["plain"] or not can_draw(console):
            LineWatch(hive, self.stdout, self.stderr, self.style).run()
        else:
            ScreenWatch(hive, console).run()

    def _write_row(self, zergling_id: str, pose: Pose) -> None:
        self.stdout.write(_COLUMNS.format(zergling_id, pose.facing, f"{pose.x},{pose.y}"))


def _joined(words: Sequence[str]) -> str:
    """Join commands as in ``MMR``; with spaces if a word has several letters, as ``DIED`` has."""
    return ("" if all(len(word) == 1 for word in words) else " ").join(words)
