"""Draws the living zerglings and the latest changes for a terminal.

It knows neither the store nor the terminal: it is told of zerglings and events, and returns what
`rich` can print.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from rich.layout import Layout
from rich.panel import Panel
from rich.text import Text

from zerglings.domain.pose import Pose
from zerglings.hive.change_events import KIND_DIED, Event
from zerglings.management.drawing import ARROWS

EVENTS_KEPT = 100
"""Number of latest events to remember. A terminal shows as many as it has lines for."""

EVENT_LINES = 8
"""Lines for the latest events, of which two are the border."""

SMALLEST_GRID = 3
"""Minimum columns and lines of the grid. A smaller terminal shows only a part of the view."""

MANY = "#"
"""Mark for a cell with ten or more zerglings."""

STYLES = {"spawned": "green", "moved": "yellow", "died": "red"}


class LiveView:
    """The zerglings on a grid that fits a terminal, above the latest events."""

    def __init__(self) -> None:
        self._poses: dict[str, Pose] = {}
        self._lines: deque[Text] = deque(maxlen=EVENTS_KEPT)

    def place(self, zerglings: Iterable[tuple[str, Pose]]) -> None:
        """Add zerglings, or replace their poses, without an event.

        Args:
            zerglings: pairs of id and pose.
        """
        self._poses.update(zerglings)

    def clear(self) -> None:
        """Forget all zerglings, but not the events."""
        self._poses.clear()

    def record(self, event: Event, clock: str) -> None:
        """Take over what an event says.

        Args:
            event: what happened to a zergling.
            clock: the time to show with the event.
        """
        if event.kind == KIND_DIED or event.zergling is None:
            self._poses.pop(event.id, None)
            where = ""
        else:
            pose = self._poses[event.id] = event.zergling.pose
            where = f"{pose.facing}  {pose.x},{pose.y}"
        style = STYLES[event.kind]
        self._lines.append(
            Text.assemble(f"{clock}  ", (f"{event.kind:<7}", style), f"  {event.id}  {where}")
        )

    def note(self, sentence: str, clock: str) -> None:
        """Show a sentence as the latest event.

        Args:
            sentence: what to show.
            clock: the time to show with it.
        """
        self._lines.append(Text.assemble(f"{clock}  ", (sentence, "bold")))

    def layout(self, columns: int, lines: int) -> Layout:
        """Return the view for a terminal.

        Args:
            columns: the terminal's width in characters.
            lines: the terminal's height in characters.
        """
        grid_lines = max(SMALLEST_GRID, lines - EVENT_LINES - 2)
        grid, scale, ranges = self._grid(max(SMALLEST_GRID, columns - 4), grid_lines)
        count = f"{len(self._poses)} zergling{'' if len(self._poses) == 1 else 's'}"
        steps = "a cell is one step" if scale == 1 else f"a cell is {scale} × {scale} steps"
        latest = Text("\n").join(list(self._lines)[: -(EVENT_LINES - 1) : -1])
        layout = Layout()
        layout.split_column(
            Layout(
                Panel(grid, title=_caption(f"{count}; {steps}"), subtitle=_caption(ranges)),
                size=grid_lines + 2,
            ),
            Layout(Panel(latest, title="latest first; Ctrl-C ends"), size=EVENT_LINES),
        )
        return layout

    def _grid(self, columns: int, lines: int) -> tuple[Text, int, str]:
        """Return the grid, north up, the steps on each side of a cell, and its ranges in words."""
        if not self._poses:
            return Text("no zerglings"), 1, ""
        left, width = _range(pose.x for pose in self._poses.values())
        bottom, height = _range(pose.y for pose in self._poses.values())
        scale = max(1, -(-width // columns), -(-height // lines))
        first_x = left - (columns * scale - width) // 2  # in the middle
        first_y = bottom - (lines * scale - height) // 2
        facings: dict[tuple[int, int], str] = {}
        counts: Counter[tuple[int, int]] = Counter()
        for pose in self._poses.values():
            cell = (pose.x - first_x) // scale, (pose.y - first_y) // scale
            counts[cell] += 1
            facings[cell] = pose.facing
        rows = (
            "".join(_mark(counts[x, y], facings.get((x, y), "")) for x in range(columns))
            for y in range(lines - 1, -1, -1)
        )
        last_x, last_y = first_x + columns * scale - 1, first_y + lines * scale - 1
        ranges = f"x {first_x} to {last_x}, y {first_y} to {last_y}"
        return Text("\n".join(rows), no_wrap=True), scale, ranges


def _caption(text: str) -> Text:
    """Return a text for a border: it ends in "…" if the terminal is too narrow."""
    return Text(text, overflow="ellipsis")


def _mark(count: int, facing: str) -> str:
    if count <= 1:
        return ARROWS[facing] if count else " "
    return str(count) if count < 10 else MANY


def _range(values: Iterable[int]) -> tuple[int, int]:
    """Return the least value and the length of a range."""
    found = list(values)
    least = min(found)
    return least, max(found) - least + 1
