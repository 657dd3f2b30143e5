"""Tests for the access component, added to an overlay as docs/kubernetes.md shows it."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.render import dig, name_of, overlays, render
from tests.k8s.rules import RULES, Rule
from tests.support.pages import Page
from tests.support.service import ROOT

PAGE = Page(ROOT / "docs" / "kubernetes.md")
SECRET = "overmind-tokens"

Object = dict[str, Any]

each_overlay = pytest.mark.parametrize("overlay", overlays(), ids=lambda folder: folder.name)


def on_the_page(begin: str) -> Object:
    """Return the YAML block of the page that begins so, for this overlay."""
    (text,) = (each.text for each in PAGE.blocks if each.text.startswith(begin))
    found: Object = yaml.safe_load(text)
    return found


@cache
def closed(overlay: Path, directory: Path) -> list[Object]:
    """Return an overlay's objects with both components and the patch for the scraper."""
    place = directory / overlay.name
    place.mkdir()
    access = [(overlay / each).resolve() for each in on_the_page("components:")["components"]]
    parts = [overlay, *access, ROOT / "k8s" / "components" / "monitoring"]
    resource, *components = (os.path.relpath(path, place) for path in parts)
    text = {"resources": [resource], "components": components} | on_the_page("patches:")
    (place / "kustomization.yaml").write_text(json.dumps(text), encoding="utf-8")
    return render(place)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("closed").resolve()


@each_overlay
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_overlay_with_tokens_keeps_every_rule(
    overlay: Path, directory: Path, rule: Rule
) -> None:
    assert rule(closed(overlay, directory)) == []


@each_overlay
def test_token_changes_reach_running_pods(overlay: Path, directory: Path) -> None:
    (deployment,) = (
        each for each in closed(overlay, directory) if name_of(each) == "Deployment/overmind"
    )
    pod = deployment["spec"]["template"]["spec"]
    (web,) = pod["containers"]
    path = {each["name"]: each.get("value") for each in web["env"]}["OVERMIND_TOKENS_FILE"]
    (mount,) = [each for each in web["volumeMounts"] if path.startswith(each["mountPath"])]
    assert "subPath" not in mount  # it would never change
    assert mount["readOnly"] is True
    (volume,) = [each for each in pod["volumes"] if each["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == SECRET
    assert not volume["secret"].get("optional")  # without the Secret, no pod starts
    assert [f"{mount['mountPath']}/{item['path']}" for item in volume["secret"]["items"]] == [path]
    assert any(SECRET in code for code in PAGE.code)


@each_overlay
def test_the_scraper_sends_a_token(overlay: Path, directory: Path) -> None:
    (monitor,) = (each for each in closed(overlay, directory) if each["kind"] == "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    credentials = dig(endpoint, "authorization", "credentials")
    assert credentials == {"name": "overmind-scrape", "key": "token"}
