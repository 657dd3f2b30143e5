"""Tests for the terminal's view of the swarm."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from zerglings.domain.pose import Pose
from zerglings.domain.zergling import Zergling
from zerglings.hive.change_events import Event
from zerglings.management.live_view import EVENT_LINES, LiveView

COLUMNS, LINES = 50, 24
"""Of the terminal. The grid has 46 columns and 14 lines."""


def drawn(view: LiveView, columns: int = COLUMNS, lines: int = LINES) -> list[str]:
    """Return the lines of a terminal that shows the view."""
    output = StringIO()
    console = Console(file=output, width=columns, height=lines)
    console.print(view.layout(columns, lines))
    return output.getvalue().splitlines()


def marks(view: LiveView, columns: int = COLUMNS, lines: int = LINES) -> dict[tuple[int, int], str]:
    """Return the marks of the grid by column and line, counted from the first mark."""
    rows = [row[2:-2] for row in drawn(view, columns, lines)[1 : -EVENT_LINES - 1]]
    found = {
        (x, y): mark
        for y, row in enumerate(rows[::-1])
        for x, mark in enumerate(row)
        if mark != " "
    }
    left, bottom = (min(place[axis] for place in found) for axis in (0, 1))
    return {(x - left, y - bottom): mark for (x, y), mark in found.items()}


def test_each_zergling_is_an_arrow_at_its_place_north_up() -> None:
    view = LiveView()
    view.place([("a", Pose(5, 5, "N")), ("b", Pose(7, 5, "E")), ("c", Pose(5, 8, "W"))])
    assert marks(view) == {(0, 0): "^", (2, 0): ">", (0, 3): "<"}


def test_a_cell_with_several_zerglings_shows_their_number() -> None:
    view = LiveView()
    view.place([(f"few{n}", Pose()) for n in range(9)])
    view.place([(f"many{n}", Pose(1, 0)) for n in range(10)])
    assert marks(view) == {(0, 0): "9", (1, 0): "#"}


def test_a_wide_swarm_is_scaled_to_the_terminal() -> None:
    view = LiveView()
    view.place([("west", Pose(-(2**53 - 1), 0, "W")), ("east", Pose(2**53 - 1, 0, "E"))])
    assert sorted(marks(view).values()) == ["<", ">"]
    assert {len(line) for line in drawn(view)} == {COLUMNS}


@pytest.mark.parametrize(
    "places",
    [
        [(5, -3)],
        [(-20, 4), (25, 17)],  # fills the grid's 46 columns and 14 lines
        [(-3, -4), (40, 9), (0, 100), (17, 17)],
        [(-900_000, -900_000), (900_000, 900_000)],
    ],
)
def test_the_frame_says_where_the_marks_are(places: list[tuple[int, int]]) -> None:
    view = LiveView()
    view.place([(f"{x},{y}", Pose(x, y)) for x, y in places])
    lines = drawn(view)
    rows, frame = [row[2:-2] for row in lines[1 : -EVENT_LINES - 1]], lines[-EVENT_LINES - 1]
    found = re.search(r" x (-?\d+) to (-?\d+), y (-?\d+) to (-?\d+) ", frame)
    assert found, frame
    left, right, bottom, top = map(int, found.groups())
    scale = (right - left + 1) // len(rows[0])
    assert right - left + 1 == scale * len(rows[0])
    assert top - bottom + 1 == scale * len(rows)
    steps = "one step" if scale == 1 else f"{scale} × {scale} steps"
    assert f"; a cell is {steps} " in lines[0]
    marked = {(x, y) for y, row in enumerate(rows) for x, mark in enumerate(row) if mark != " "}
    assert marked == {((x - left) // scale, (top - y) // scale) for x, y in places}


def test_captions_that_do_not_fit_end_in_an_ellipsis() -> None:
    view = LiveView()
    view.place([("a", Pose(-(2**53 - 1), 0)), ("b", Pose(0, 2**53 - 1))])
    lines = drawn(view)
    assert [line.rstrip("─╮╯")[-1] for line in (lines[0], lines[-EVENT_LINES - 1])] == ["…", "…"]


def test_every_zergling_is_inside_at_every_size() -> None:
    places = [(-3, -4), (40, 9), (0, 100), (17, 17)]
    for columns, lines in ((20, 14), (51, 25), (200, 60)):
        view = LiveView()
        view.place([(f"{x},{y}", Pose(x, y)) for x, y in places])
        assert (
            sum(int(mark) if mark.isdigit() else 1 for mark in marks(view, columns, lines).values())
            == 4
        )


def test_a_move_takes_the_zergling_to_its_new_place() -> None:
    view = LiveView()
    view.place([("a", Pose(0, 0)), ("b", Pose(3, 0))])
    view.record(Event("moved", "a", Zergling.spawned("a", Pose(2, 0, "S"))), "12:00:00")
    assert marks(view) == {(0, 0): "v", (1, 0): "^"}


def test_a_dead_zergling_leaves_the_grid() -> None:
    view = LiveView()
    view.place([("a", Pose()), ("b", Pose(3, 0))])
    view.record(Event("died", "b", None), "12:00:00")
    assert marks(view) == {(0, 0): "^"}
    assert "1 zergling;" in drawn(view)[0]


def test_the_latest_event_comes_first() -> None:
    view = LiveView()
    for second in range(30):
        view.record(
            Event("spawned", f"z{second}", Zergling.spawned(f"z{second}", Pose(second, 0))),
            f"12:00:{second:02}",
        )
    events = drawn(view)[-EVENT_LINES + 1 : -1]
    assert [line[2:10] for line in events] == [f"12:00:{second}" for second in range(29, 23, -1)]


def test_an_empty_swarm_says_so() -> None:
    lines = drawn(LiveView())
    assert "no zerglings" in lines[1]
    assert set(lines[-EVENT_LINES - 1]) == set("╰─╯")


def test_a_tiny_terminal_is_no_error() -> None:
    view = LiveView()
    view.place([("a", Pose())])
    assert drawn(view, 1, 1)
