"""Tests for watching the swarm, in this process."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import closing

import pytest
from django.core.management.base import OutputWrapper
from django.core.management.color import no_style
from rich.console import Console

from tests.support.backends import Backend
from tests.support.faulty_store import FaultyStore, raising
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.change_events import KIND_MOVED, KIND_SPAWNED, ChangeBatch, Event
from zerglings.hive.hive import Hive
from zerglings.management import watching
from zerglings.management.live_view import LiveView
from zerglings.management.watching import LineWatch, ScreenWatch, can_draw
from zerglings.storage.base import AccountRefused, StoreUnavailable, UnknownPosition

ATTEMPTS = 3


@pytest.fixture
def store(sqlite: Backend) -> Iterator[FaultyStore]:
    with closing(sqlite.open()) as store:
        yield FaultyStore(store)


class Lines:
    """A line watch and what it says."""

    def __init__(self, store: FaultyStore) -> None:
        self._errors = io.StringIO()
        self._output = io.StringIO()
        wrappers = OutputWrapper(self._output), OutputWrapper(self._errors)
        self.watch = LineWatch(Hive(store), *wrappers, no_style())

    def printed(self) -> list[str]:
        """Return the lines for changes without their times."""
        return [line[len("12:00:00  ") :] for line in self._output.getvalue().splitlines()]

    def said(self) -> list[str]:
        """Return the sentences without their times."""
        return [line[len("12:00:00  ") :] for line in self._errors.getvalue().splitlines()]


@pytest.fixture
def lines(store: FaultyStore, monkeypatch: pytest.MonkeyPatch) -> Lines:
    monkeypatch.setattr(watching, "OUTAGE_PAUSES", (0.0,) * ATTEMPTS)
    monkeypatch.setattr(LineWatch, "wait", 0.0)
    return Lines(store)


def drawn_after(store: FaultyStore, monkeypatch: pytest.MonkeyPatch, *has_more: bool) -> list[int]:
    """Show one batch for each argument; return the numbers of those that were drawn."""
    drawn: list[int] = []
    number: int
    monkeypatch.setattr(LiveView, "layout", lambda *_: drawn.append(number))
    watch = ScreenWatch(Hive(store), Console(file=io.StringIO()))
    for number, more in enumerate(has_more):
        watch.show(ChangeBatch([spawned(number)], str(number), has_more=more))
    return drawn


def spawned(number: int) -> Event:
    return Event(KIND_SPAWNED, f"z{number}", Zergling.spawned(f"z{number}", Pose(number, 0)))


def test_a_line_counts_one_command_and_several_commands(store: FaultyStore, lines: Lines) -> None:
    hive = Hive(store)
    zergling = hive.spawn(Pose())
    for commands in ("M", "MM"):
        moved = hive.command(zergling.id, CommandRequest.command(commands))
        lines.watch.show(ChangeBatch([Event(KIND_MOVED, moved.id, moved)], "1", has_more=False))
    assert lines.printed() == [
        f"moved    {zergling.id}  N  0,1  after 1 command",
        f"moved    {zergling.id}  N  0,3  after 3 commands",
    ]


def test_a_watch_ends_with_the_error_of_an_outage_that_lasts(
    store: FaultyStore, lines: Lines
) -> None:
    store.before_changes = raising(StoreUnavailable("it is away"), times=ATTEMPTS + 1)
    with pytest.raises(StoreUnavailable, match="it is away"):
        lines.watch.run()
    assert lines.said() == ["waiting for the store: it is away"]


def test_a_watch_ends_at_once_when_waiting_cannot_help(store: FaultyStore, lines: Lines) -> None:
    store.before_changes = raising(AccountRefused("wrong password"))
    with pytest.raises(AccountRefused):
        lines.watch.run()
    assert lines.said() == []


def test_a_watch_reports_each_outage_and_a_replaced_store(store: FaultyStore, lines: Lines) -> None:
    away = StoreUnavailable("it is away")
    errors = iter([away, away, None, UnknownPosition("?"), None, away, None, AccountRefused("end")])

    def fail() -> None:
        if error := next(errors):
            raise error

    store.before_changes = fail
    with pytest.raises(AccountRefused):
        lines.watch.run()
    assert lines.said() == [
        "waiting for the store: it is away",
        "the store answers again",
        "the store was replaced; some changes are not shown",
        "waiting for the store: it is away",
        "the store answers again",
    ]


def test_only_the_last_of_several_batches_is_drawn(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "REDRAW_EVERY", math.inf)
    assert drawn_after(store, monkeypatch, True, True, True, False) == [0, 3]


def test_batches_without_end_are_drawn_now_and_then(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "REDRAW_EVERY", 0.0)
    assert drawn_after(store, monkeypatch, True, True, True) == [0, 1, 2]


@pytest.mark.parametrize(
    "environment", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"}]
)
def test_a_file_cannot_be_drawn_on(environment: dict[str, str]) -> None:
    assert not can_draw(Console(file=io.StringIO(), _environ=environment))
