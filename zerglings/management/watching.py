"""``manage.py swarm watch``: follows the changes of a hive, on a screen or line by line.

During an outage of the store a watch says so and waits. It depends on the terminal and the hive;
``live_view`` draws.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar, TypeVar

from django.core.management.base import OutputWrapper
from django.core.management.color import Style
from rich.console import Console
from rich.live import Live

from zerglings.hive.change_events import (
    KIND_DIED,
    KIND_MOVED,
    KIND_SPAWNED,
    ChangeBatch,
    Event,
)
from zerglings.hive.hive import Hive
from zerglings.management.live_view import LiveView
from zerglings.storage.base import StoreError, UnknownPosition
from zerglings.transfer.retrying import with_retries

OUTAGE_PAUSES = (1.0,) * 600
"""Seconds before each new attempt: a watch ends after an outage of at least ten minutes."""

REDRAW_EVERY = 1.0
"""Seconds after which the screen is drawn again without an event: its size may have changed."""

CLOCK = "%H:%M:%S"

Result = TypeVar("Result")


def can_draw(console: Console) -> bool:
    """Whether ``rich`` draws on a console: a terminal that is not dumb, as Emacs's shell is."""
    is_drawn = console.is_terminal and console.is_interactive and not console.is_dumb_terminal
    return is_drawn and console.file.isatty()  # with FORCE_COLOR, a pipe counts as a terminal


class Watch(ABC):
    """Shows the changes of a hive until the process is interrupted.

    Args:
        hive: the source of the changes.
    """

    wait: ClassVar[float]
    """Seconds to wait for a change; ``show`` gets an empty batch if there is none."""

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._is_waiting = False

    def run(self) -> None:
        """Show all changes from now on.

        Raises:
            StoreError: the store failed for good, or for longer than ``OUTAGE_PAUSES``.
        """
        since: str | None = None
        while True:
            try:
                batch = self.read(partial(self._hive.changes_after, since, wait=self.wait))
            except UnknownPosition:
                self.say("the store was replaced; some changes are not shown")
                since = None
                continue
            if since is None:
                self.begin()
            self.show(batch)
            since = batch.position

    def read(self, call: Callable[[], Result]) -> Result:
        """Return the result of a call that reads the hive, if need be after an outage.

        Raises:
            StoreError: as in ``run``.
        """
        result = with_retries(call, pauses=OUTAGE_PAUSES, failed=self.wait_for_store)
        if self._is_waiting:
            self._is_waiting = False
            self.say("the store answers again")
        return result

    def wait_for_store(self, error: StoreError) -> None:
        """Say that the store fails, once for each outage; ``read`` calls it before each pause."""
        if not self._is_waiting:
            self._is_waiting = True
            self.say(f"waiting for the store: {error}")

    @abstractmethod
    def begin(self) -> None:
        """Show what there is before the first change; again after the store was replaced."""

    @abstractmethod
    def show(self, batch: ChangeBatch) -> None:
        """Show changes."""

    @abstractmethod
    def say(self, sentence: str) -> None:
        """Show a sentence about the store."""


class LineWatch(Watch):
    """Prints one line for each change, and sentences about the store as errors."""

    wait = 10.0

    def __init__(
        self, hive: Hive, stdout: OutputWrapper, stderr: OutputWrapper, style: Style
    ) -> None:
        super().__init__(hive)
        self._stdout = stdout
        self._stderr = stderr
        self._styles = {
            KIND_SPAWNED: style.SUCCESS,
            KIND_MOVED: style.NOTICE,
            KIND_DIED: style.ERROR,
        }

    def begin(self) -> None:
        """Print nothing."""

    def show(self, batch: ChangeBatch) -> None:
        """Print a line for each event."""
        for event in batch.events:
            self._stdout.write(self._line(event))
        self._stdout.flush()

    def say(self, sentence: str) -> None:
        """Print a sentence to standard error."""
        self._stderr.write(f"{time.strftime(CLOCK)}  {sentence}")

    def _line(self, event: Event) -> str:
        kind = self._styles[event.kind](f"{event.kind:<7}")
        line = f"{time.strftime(CLOCK)}  {kind}  {event.id}"
        if event.zergling is not None and event.kind != KIND_DIED:
            pose = event.zergling.pose
            commands = event.zergling.command_count
            line += f"  {pose.facing}  {pose.x},{pose.y}  after {commands} command"
            line += "" if commands == 1 else "s"
        return line


class ScreenWatch(Watch):
    """Draws all zerglings and the latest changes on a terminal.

    Args:
        hive: the source of the changes.
        console: the terminal.
    """

    wait = REDRAW_EVERY

    def __init__(self, hive: Hive, console: Console) -> None:
        super().__init__(hive)
        self._console = console
        self._view = LiveView()
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._drawn_at = -math.inf

    def run(self) -> None:
        """Show all changes on a screen of their own; restore the terminal at the end."""
        with self._live:
            super().run()

    def begin(self) -> None:
        """Place all living zerglings."""
        zerglings = self.read(lambda: [each for page in self._hive.pages() for each in page])
        self._view.clear()
        self._view.place(zerglings)

    def show(self, batch: ChangeBatch) -> None:
        """Take over the events. Draw the last of several batches, and once a second."""
        for event in batch.events:
            self._view.record(event, time.strftime(CLOCK))
        if not batch.has_more or time.monotonic() - self._drawn_at >= REDRAW_EVERY:
            self._draw()

    def say(self, sentence: str) -> None:
        """Show a sentence among the events, from the next drawing on."""
        self._view.note(sentence, time.strftime(CLOCK))

    def wait_for_store(self, error: StoreError) -> None:
        """Say it, and draw: a log line may have changed the screen, or the user its size."""
        super().wait_for_store(error)
        self._draw()

    def _draw(self) -> None:
        self._live.update(self._view.layout(*self._console.size), refresh=True)
        self._drawn_at = time.monotonic()
