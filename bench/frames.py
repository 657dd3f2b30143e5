"""Frames per second of a page, their cost, and the memory of its scripts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import CDPSession, Page

WATCHED = 10.0
"""Duration of a measurement, in seconds."""

START = """() => {
    const gaps = [];
    let last = performance.now();
    let isOver = false;
    const frame = () => {
        const now = performance.now();
        gaps.push(now - last);
        last = now;
        if (!isOver) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    window.stopFrames = () => {
        isOver = true;
        return gaps;
    };
}"""


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames per second, the p95 and maximum of the milliseconds between frames, and their cost.

    The cost is the CPU time of the page's main thread per frame, in milliseconds. Other load on the
    machine lowers the frame rate, and hardly changes the cost.
    """

    a_second: float
    p95: float
    longest: float
    cost: float

    @classmethod
    def of(cls, gaps: list[float], busy: float) -> Frames:
        """Summarise the milliseconds between frames, and of the main thread's CPU time."""
        p95 = statistics.quantiles(gaps, n=20)[-1]
        return cls(1000 * len(gaps) / sum(gaps), p95, max(gaps), busy / len(gaps))

    def __str__(self) -> str:
        return (
            f"{self.a_second:.0f} frames/s, 95 % within {self.p95:.0f} ms, "
            f"longest {self.longest:.0f} ms; {self.cost:.1f} ms of CPU time a frame"
        )


def frames(page: Page, act: Callable[[], None] | None = None) -> Frames:
    """Measure for ``WATCHED`` seconds, calling ``act`` over and over meanwhile."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.evaluate(START)
    before = _busy(session)
    end = time.monotonic() + WATCHED
    while time.monotonic() < end:
        if act:
            act()
        else:
            page.wait_for_timeout(1000)
    gaps = page.evaluate("() => window.stopFrames()")
    busy = _busy(session) - before
    session.detach()
    return Frames.of(gaps, busy)


def _busy(session: CDPSession) -> float:
    """Return the CPU time that the page's main thread has used, in milliseconds."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return 1000 * next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")


def heap(page: Page) -> float:
    """Return the memory of the page's scripts in MB, including typed arrays."""
    usage = page.context.new_cdp_session(page).send("Runtime.getHeapUsage")
    return float(usage["usedSize"] + usage.get("backingStorageSize", 0)) / 1e6
