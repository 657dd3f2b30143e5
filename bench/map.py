"""``make bench-map``: the performance of the map at ``/`` with a moving swarm and a long path.

``python -m bench.map [COUNT …]`` fills the embedded store with COUNT zerglings (100,000 and then
1,000,000 by default) and one with a random walk of 100,000 commands. It sends 200 moves per second,
and opens the page in headless Chromium, which renders without a GPU, on the same machine. It
measures:

- the time until the first zerglings are drawn, and until all are;
- the time from the selection of the walker until its whole path is drawn;
- the frame rate with all zerglings in view, and zoomed in; with the path in view, while the user
  pans, zooms, presses the keys that step through the history, and drags its slider;
- the memory of the page's scripts.

Each line begins with the machine's load average over the last minute. The bench depends only on the
page's performance marks and keys, and on the elements ``#stage``, ``#panel`` and ``#slider``.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, cycle
from pathlib import Path

from playwright.sync_api import Page

from bench.documents import Document
from bench.errors import BenchError
from bench.frames import frames, heap
from bench.histories import PER_REQUEST, Client
from bench.service import Server, overmind
from bench.stores import Embedded
from tests.support.browser import chromium
from zerglings.domain.document_format import encode
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import Zergling

COUNTS = (100_000, 1_000_000)
ROOM = 2
"""Average distance between neighbours along each axis, in grid steps."""

MOVES = 200
MOVERS = 4
"""Moves per second in total, and the connections that share them."""

LOAD_LIMIT = 300_000
"""Milliseconds within which all zerglings must be drawn."""

NEAR = 14
"""Presses of + that zoom in far enough to show single zerglings."""

COMMANDS = 100_000
"""Length of the path, in steps of the history."""

REPEAT = 33
"""Milliseconds between two presses of keys, as while a key is held."""

ROUND = ("ArrowLeft", "+", "ArrowUp", "-", "ArrowRight", "+", "ArrowDown", "-")
STEPS = ("<", "<", "<", ",", ">", "<", ".", "<")
MARK = "(name) => performance.getEntriesByName(name)[0]?.startTime"


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
        walker = _walker(server)
        with _moves(server, ids) as done, chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            before = done()
            began = time.monotonic()
            _measure_swarm(page, server.origin)
            _measure_path(page, f"{server.origin}/#{walker}")
            rate = (done() - before) / (time.monotonic() - began)
            _say(f"{heap(page):.0f} MB of scripts' memory; {rate:.0f} moves/s arrived")


def _measure_swarm(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("#stage[aria-busy=false]", timeout=LOAD_LIMIT)
    first, complete = (_mark(page, name) for name in ("first", "complete"))
    _say(f"first drawn after {first:.0f} ms, all after {complete:.0f} ms")
    _say(f"all in view: {frames(page)}")
    for _ in range(NEAR):
        page.keyboard.press("+")
    page.wait_for_function("() => document.querySelector('#stage').dataset.scale > 9")
    _say(f"zoomed in: {frames(page)}")


def _measure_path(page: Page, link: str) -> None:
    selected = page.evaluate("() => performance.now()")
    page.goto(link)  # leads within the page, which stays
    drawn = _mark(page, "path")
    _say(f"path of {COMMANDS} commands drawn {drawn - selected:.0f} ms after its selection")
    page.keyboard.press("p")
    _say(f"path in view: {frames(page)}")
    _say(f"path in view, panning and zooming: {frames(page, _keys(page, ROUND))}")
    _say(f"path in view, stepping by keys: {frames(page, _keys(page, STEPS))}")
    _say(f"path in view, dragging the slider: {frames(page, _drag(page))}")
    page.mouse.up()
    for _ in range(2):  # back to now, and then deselect
        page.keyboard.press("Escape")
    page.wait_for_selector("#panel", state="hidden")
    _say(f"same view without the path, panning and zooming: {frames(page, _keys(page, ROUND))}")


def _mark(page: Page, name: str) -> float:
    """Wait for a performance mark of the page; return its time in milliseconds."""
    handle = page.wait_for_function(MARK, arg=f"overmind:{name}", timeout=LOAD_LIMIT)
    return float(handle.json_value())


def _keys(page: Page, names: tuple[str, ...]) -> Callable[[], None]:
    """Return a function that presses the next of some keys, as fast as a held key repeats."""
    rest = cycle(names)

    def press() -> None:
        page.keyboard.press(next(rest))
        page.wait_for_timeout(REPEAT)

    return press


def _drag(page: Page) -> Callable[[], None]:
    """Return a function that drags the slider a bit further, to its left end and back."""
    box = page.locator("#slider").bounding_box()
    if box is None:
        raise BenchError("the page shows no slider")
    left, width, top = box["x"], box["width"], box["y"] + box["height"] / 2
    places = cycle([left + width * part / 100 for part in (*range(99, 0, -1), *range(1, 100))])
    page.mouse.move(next(places), top)
    page.mouse.down()
    return lambda: page.mouse.move(next(places), top)


def _walker(server: Server) -> str:
    """Spawn a zergling, send it on a random walk of ``COMMANDS`` commands, and return its id."""
    client = Client(server.connect())
    dice = random.Random(2)
    walker = client.spawn()
    for _ in range(COMMANDS // PER_REQUEST):
        client.command(walker, "".join(dice.choices("MMMLR", k=PER_REQUEST)))
    client.close()
    return walker


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


def _say(text: str) -> None:
    sys.stdout.write(f"{os.getloadavg()[0]:5.1f}  {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
