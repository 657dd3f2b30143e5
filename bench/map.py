"""``make bench-map``: the performance of the map at ``/`` with a large, moving swarm.

``python -m bench.map [COUNT …]`` fills the embedded store with COUNT zerglings (100,000 and then
1,000,000 by default), sends 200 moves per second, and opens the page in headless Chromium on the
same machine. It measures:

- the time until the first zerglings are drawn, and until all are;
- the frame rate with all zerglings in view, and zoomed in;
- the memory of the page's scripts.

It depends only on the page's performance marks, its keys and its ``#stage`` element.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from playwright.sync_api import Page

from bench.documents import Document
from bench.service import Server, overmind
from bench.stores import Embedded
from tests.support.browser import chromium
from zerglings.domain.document_format import encode
from zerglings.domain.zergling import Pose, Zergling

COUNTS = (100_000, 1_000_000)
ROOM = 2
"""Average distance between neighbours along each axis, in grid steps."""

MOVES = 200
MOVERS = 4
"""Moves per second in total, and the connections that share them."""

WATCHED = 10_000
"""Duration of a frame measurement, in milliseconds."""

LOAD_LIMIT = 300_000
"""Milliseconds within which all zerglings must be drawn."""

NEAR = 14
"""Presses of + that zoom in far enough to show single zerglings."""

FRAMES = """(milliseconds) => new Promise((resolve) => {
    const gaps = [];
    const began = performance.now();
    let last = began;
    const frame = () => {
        const now = performance.now();
        gaps.push(now - last);
        last = now;
        if (now - began < milliseconds) requestAnimationFrame(frame);
        else resolve(gaps);
    };
    requestAnimationFrame(frame);
})"""

MARK = "(name) => performance.getEntriesByName(name)[0].startTime"


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames per second, and the p95 and maximum of the milliseconds between frames."""

    a_second: float
    p95: float
    longest: float

    @classmethod
    def of(cls, gaps: list[float]) -> Frames:
        """Summarise the gaps between frames, in milliseconds."""
        p95 = statistics.quantiles(gaps, n=20)[-1]
        return cls(1000 * len(gaps) / sum(gaps), p95, max(gaps))

    def __str__(self) -> str:
        return (
            f"{self.a_second:.0f} frames/s, "
            f"95 % within {self.p95:.0f} ms, longest {self.longest:.0f} ms"
        )


def main() -> None:
    """Measure and print the figures for each number of zerglings."""
    for number in map(int, sys.argv[1:]) if sys.argv[1:] else COUNTS:
        with tempfile.TemporaryDirectory() as directory:
            _measure(number, Embedded(Path(directory)))


def _measure(number: int, store: Embedded) -> None:
    ids = sorted(str(uuid.uuid4()) for _ in range(number))
    with overmind(store, "map", Path(__file__).resolve().parent.parent) as server:
        _say(f"{number} zerglings: filling")
        store.fill("map", _swarm(ids))
        with _moves(server, ids) as done, chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            before = done()
            began = time.monotonic()
            page.goto(f"{server.origin}/")
            page.wait_for_selector("#stage[aria-busy=false]", timeout=LOAD_LIMIT)
            first, complete = (
                page.evaluate(MARK, f"overmind:{name}") for name in ("first", "complete")
            )
            _say(f"first drawn after {first:.0f} ms, all after {complete:.0f} ms")
            _say(f"all in view: {_frames(page)}")
            for _ in range(NEAR):
                page.keyboard.press("+")
            page.wait_for_function("() => document.querySelector('#stage').dataset.scale > 9")
            _say(f"zoomed in: {_frames(page)}")
            rate = (done() - before) / (time.monotonic() - began)
            _say(f"{_heap(page):.0f} MB of scripts' memory; {rate:.0f} moves/s arrived")


def _swarm(ids: list[str]) -> Iterator[Document]:
    half = int(len(ids) ** 0.5 * ROOM / 2)
    dice = random.Random(1)
    for zergling_id in ids:
        pose = Pose(dice.randint(-half, half), dice.randint(-half, half), dice.choice("NESW"))
        yield encode(Zergling.spawned(zergling_id, pose))


@contextmanager
def _moves(server: Server, ids: list[str]) -> Iterator[Callable[[], int]]:
    """Send moves at a fixed rate during the block; yields a function that counts the answers."""
    is_over = threading.Event()
    answered = [0] * MOVERS

    def move(number: int) -> None:
        connection = server.connect()
        dice = random.Random(number)
        begin = time.monotonic()
        for beat in count(1):
            if is_over.wait(max(0.0, begin + beat * MOVERS / MOVES - time.monotonic())):
                break
            connection.request("POST", f"/zerglings/{dice.choice(ids)}", dice.choice("MMMLR"))
            connection.getresponse().read()
            answered[number] += 1
        connection.close()

    movers = [threading.Thread(target=move, args=(number,)) for number in range(MOVERS)]
    for mover in movers:
        mover.start()
    try:
        yield lambda: sum(answered)
    finally:
        is_over.set()
        for mover in movers:
            mover.join()


def _frames(page: Page) -> Frames:
    return Frames.of(page.evaluate(FRAMES, WATCHED))


def _heap(page: Page) -> float:
    """Return the memory of the page's scripts in MB, including typed arrays."""
    usage = page.context.new_cdp_session(page).send("Runtime.getHeapUsage")
    return float(usage["usedSize"] + usage.get("backingStorageSize", 0)) / 1e6


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
