"""Tests that the overlays keep the rules with each component, and with all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.k8s.availability import Rule
from tests.k8s.components import COMPONENTS, each_overlay, with_components
from tests.k8s.render import RenderError, name_of, overlays, render
from tests.k8s.rules import RULES
from tests.k8s.schemas import VERSIONS, validate

NAMES = sorted(folder.name for folder in COMPONENTS.iterdir())


def combinations(overlay: Path) -> Iterator[tuple[str, ...]]:
    """Yield each component for an overlay, then all that can be added together."""
    names = [name for name in NAMES if name != "scaling" or overlay.name == "production"]
    yield from ((name,) for name in names)
    yield tuple(name for name in names if name != "heal")  # which `regions` contains


each_component = pytest.mark.parametrize(
    ("overlay", "names"),
    [
        pytest.param(overlay, names, id=f"{overlay.name}-{'+'.join(names)}")
        for overlay in overlays()
        for names in combinations(overlay)
    ],
)


@each_component
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_an_overlay_with_components_keeps_every_rule(
    overlay: Path, names: tuple[str, ...], rule: Rule
) -> None:
    assert rule(with_components(overlay, *names)) == []


@each_component
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_with_components_is_valid(
    overlay: Path, names: tuple[str, ...], version: str
) -> None:
    for each in with_components(overlay, *names):
        validate(each, version)


@each_component
def test_components_remove_nothing_but_the_ingress(overlay: Path, names: tuple[str, ...]) -> None:
    before = {name_of(each) for each in render(overlay)}
    if "gateway" in names:
        before -= {"Ingress/overmind"}
    assert before <= {name_of(each) for each in with_components(overlay, *names)}


@each_overlay
def test_regions_and_heal_together_are_an_error(overlay: Path) -> None:
    with pytest.raises(RenderError, match="overmind-heal"):
        with_components(overlay, "regions", "heal")
