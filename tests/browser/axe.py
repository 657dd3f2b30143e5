"""Looks for barriers for people with disabilities in a page, with axe-core."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from playwright.sync_api import Page

from tests.support.service import ROOT

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
LOOKS = (("light", WIDE), ("dark", WIDE), ("light", PHONE))
"""Colour schemes and sizes. Neither changes what a page consists of, so these are enough."""

RUN = """async (but) => {
    await new Promise(requestAnimationFrame);  // by then scripts have followed the colour scheme
    const off = but.map((rule) => [rule, { enabled: false }]);
    const rules = { "target-size": { enabled: true }, ...Object.fromEntries(off) };
    const { violations } = await axe.run(document, { resultTypes: ["violations"], rules });
    return violations.flatMap(({ id, impact, nodes }) =>
        nodes.map(({ html }) => `${id} (${impact}): ${html}`));
}"""
"""The rules that axe-core has on by default, and the size of targets (WCAG 2.2, 2.5.8)."""


def barriers(page: Page, but: Collection[str] = ()) -> list[str]:
    """Return what axe-core finds in an open page, light, dark and on a phone.

    Args:
        page: the page; it is left light and wide.
        but: the rules that are not applied.
    """
    page.emulate_media(reduced_motion="reduce")  # or colours may still be changing
    page.evaluate(_axe())
    found = []
    for scheme, size in LOOKS:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a typed dictionary there
        for barrier in page.evaluate(RUN, list(but)):
            found.append(f"{page.url}, {scheme}, {size['width']} pixels wide: {barrier}")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]  # a typed dictionary there
    return found


@cache
def _axe() -> str:
    path = ROOT / "tests/peer/node_modules/axe-core/axe.min.js"
    return path.read_text(encoding="utf-8")
