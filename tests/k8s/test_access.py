"""Tests for the access component, added to an overlay as docs/kubernetes.md shows it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.k8s.components import COMPONENTS, Object, each_overlay, with_components
from tests.k8s.render import dig, find
from tests.support.pages import Page
from tests.support.service import ROOT

PAGE = Page(ROOT / "docs" / "kubernetes.md")
SECRET = "overmind-tokens"


def on_the_page(begin: str) -> Object:
    """Return the YAML block of the page that begins so, for this overlay."""
    (text,) = (each.text for each in PAGE.blocks if each.text.startswith(begin))
    found: Object = yaml.safe_load(text)
    return found


def closed(overlay: Path) -> list[Object]:
    """Return an overlay's objects with both components and the patch for the scraper."""
    (access,) = ((overlay / each).resolve() for each in on_the_page("components:")["components"])
    assert access.parent == COMPONENTS
    patches = json.dumps(on_the_page("patches:"))
    return with_components(overlay, access.name, "monitoring", more=patches)


@each_overlay
def test_token_changes_reach_running_pods(overlay: Path) -> None:
    pod = find(closed(overlay), "Deployment/overmind")["spec"]["template"]["spec"]
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
def test_the_scraper_sends_a_token(overlay: Path) -> None:
    (monitor,) = (each for each in closed(overlay) if each["kind"] == "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    credentials = dig(endpoint, "authorization", "credentials")
    assert credentials == {"name": "overmind-scrape", "key": "token"}
