"""Page object for the live map at ``/``: its text, list, drawing and controls."""

from __future__ import annotations

import math
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.waiting import wait_until

ROW = re.compile(r"(\w+)\s+(−?\d+), (−?\d+)\s+(north|east|south|west)")


class LiveMap:
    """One open page. Waits are for conditions, up to Playwright's own limit."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.state = page.locator("#state")
        self.notice = page.locator("#notice")
        self.panel = page.locator("#panel")
        self.roster = page.get_by_role("listbox", name="In view")
        self.rows = self.roster.get_by_role("option")
        self.timeline = page.get_by_role("group", name="History", exact=True)
        self.slider = page.get_by_role("slider", name="Step of the history")
        self.step = page.get_by_role("spinbutton", name="Step", exact=True)
        self.strip = page.get_by_role("group", name="Commands, newest first")
        self.keys = page.get_by_role("button", name="Keys")
        self.character_keys = page.get_by_role("checkbox", name="Character key shortcuts")

    def open(self) -> None:
        """Open the page and wait until it shows every zergling."""
        self.page.goto(self.url)
        self.expect_complete()

    def expect_complete(self) -> None:
        expect(self.page.locator("#stage")).to_have_attribute("aria-busy", "false")
        expect(self.state).to_have_text("Live")

    def row(self, zergling_id: str) -> Locator:
        """The row of one zergling in the list, which mirrors the map."""
        return self.rows.filter(has_text=zergling_id[:8])

    def select(self, zergling_id: str, steps: int) -> None:
        """Select a zergling in the list, and wait for the history of its steps."""
        self.row(zergling_id).click()
        self.expect_steps(steps)

    def expect_steps(self, steps: int) -> None:
        expect(self.slider).to_have_attribute("max", str(steps))
        expect(self.timeline).to_have_attribute("data-reading", "false")

    def expect_moment(self, step: int, pose: str) -> None:
        """Expect that a step of the history is shown, with its pose."""
        expect(self.step).to_have_value(str(step))
        expect(self.slider).to_have_value(str(step))
        expect(self.timeline.locator("#pose")).to_have_text(pose)

    def expect_row(self, zergling_id: str, x: int, y: int, facing: str, **wait: Any) -> None:
        place = f"{_written(x)}, {_written(y)}"
        text = re.compile(rf"{zergling_id[:8]}\s+{re.escape(place)}\s+{facing}")
        expect(self.row(zergling_id)).to_have_text(text, **wait)

    def mirror(self) -> dict[str, tuple[int, int, str]]:
        """All rows: the beginnings of ids, with places and facings."""
        found = [ROW.search(text) for text in self.rows.all_inner_texts()]
        return {
            row[1]: (int(row[2].replace("−", "-")), int(row[3].replace("−", "-")), row[4])
            for row in found
            if row
        }

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where on the page the middle of a place is, in CSS pixels."""
        view = self.page.locator("#stage").evaluate(
            """stage => {
                const box = stage.getBoundingClientRect();
                const { x, y, offset, scale } = stage.dataset;
                return { box: [box.x, box.y, box.width, box.height], x, y, offset, scale };
            }"""
        )
        left, top, width, height = view["box"]
        right, up = map(float, view["offset"].split())
        scale = float(view["scale"])
        return (
            left + width / 2 + (x - int(view["x"]) - right) * scale,
            top + height / 2 - (y - int(view["y"]) - up) * scale,
        )

    def pixel(self, x: float, y: float, canvas: str = "swarm") -> str:
        """The steady colour in the middle of a place, "" where no zergling is."""
        colour: str = self.page.locator(f"#{canvas}").evaluate(
            """(canvas, [left, top]) => {
                const box = canvas.getBoundingClientRect();
                const ratio = canvas.width / box.width;
                const at = [(left - box.x) * ratio, (top - box.y) * ratio].map(Math.floor);
                const [r, g, b, a] = canvas.getContext("2d").getImageData(...at, 1, 1).data;
                return a ? `rgb(${r}, ${g}, ${b})` : "";
            }""",
            list(self.point(x, y)),
        )
        return colour

    def has_path(self, x: float, y: float) -> bool:
        """Whether the path of the selected zergling crosses a point, in grid steps."""
        return self.pixel(x, y, "path") != ""

    def wait_for_path(self, x: float, y: float) -> None:
        """Wait until the path crosses a point."""
        wait_until(lambda: self.has_path(x, y), f"a path at {x}, {y}")

    def colour_of(self, name: str) -> str:
        """A colour of the theme, in the format of `pixel`."""
        colour: str = self.page.evaluate(
            """name => {
                const probe = document.body.appendChild(document.createElement("i"));
                probe.style.color = `var(--${name})`;
                const colour = getComputedStyle(probe).color;
                probe.remove();
                return colour;
            }""",
            name,
        )
        return colour

    def scale(self) -> float:
        """CSS pixels per step."""
        return float(self.page.locator("#stage").get_attribute("data-scale") or math.nan)


def _written(value: int) -> str:
    return f"−{-value}" if value < 0 else str(value)
