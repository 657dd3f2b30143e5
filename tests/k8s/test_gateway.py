"""Tests for the gateway component, added to an overlay as docs/kubernetes.md shows it."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from jsonschema import ValidationError

from tests.k8s.components import COMPONENTS, Object, each_overlay, with_components
from tests.k8s.render import containers, find, overlays, render
from tests.k8s.schemas import validate
from tests.support.pages import Page
from tests.support.service import ROOT

PAGE = Page(ROOT / "docs" / "kubernetes.md")


def exposed(overlay: Path) -> list[Object]:
    return with_components(overlay, "gateway")


def route(overlay: Path) -> Object:
    found: Object = find(exposed(overlay), "HTTPRoute/overmind")
    return found


def allowed_hosts(objects: list[Object]) -> str:
    (web,) = [each for each in containers(objects) if each.name == "overmind"]
    (found,) = [each["value"] for each in web.spec["env"] if each["name"] == "DJANGO_ALLOWED_HOSTS"]
    hosts: str = found
    return hosts


def on_the_page(marker: str) -> Object:
    """Return the YAML block of the page that contains a line."""
    (text,) = (each.text for each in PAGE.blocks if marker in each.text.splitlines())
    found: Object = yaml.safe_load(text)
    return found


@each_overlay
def test_the_route_leads_to_the_service(overlay: Path) -> None:
    objects = exposed(overlay)
    service = find(objects, "Service/overmind")["spec"]
    (rule,) = route(overlay)["spec"]["rules"]
    (backend,) = rule["backendRefs"]
    assert backend["name"] == "overmind"
    assert backend["port"] in {port["port"] for port in service["ports"]}


@each_overlay
def test_no_time_out_ends_a_stream(overlay: Path) -> None:
    """Every path may be a stream: events, lists, histories, bulk results."""
    (rule,) = route(overlay)["spec"]["rules"]
    assert [match["path"] for match in rule["matches"]] == [{"type": "PathPrefix", "value": "/"}]
    assert rule["timeouts"] == {"request": "0s"}


@each_overlay
def test_the_gateway_replaces_the_ingress(overlay: Path) -> None:
    assert not [each for each in exposed(overlay) if each["kind"] == "Ingress"]


def test_the_ingress_stays_without_the_component() -> None:
    found = [each["kind"] for overlay in overlays() for each in render(overlay)]
    assert found.count("Ingress") == 1


def test_the_route_has_the_allowed_host() -> None:
    production = ROOT / "k8s/overlays/production"
    hosts = route(production)["spec"]["hostnames"]
    assert ",".join(hosts) == allowed_hosts(exposed(production))


# The schemas


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("timeouts", {"request": "10 seconds"}, "10 seconds"),
        ("timeouts", {"requests": "0s"}, "requests"),
        ("timeout", "0s", "timeout"),
        ("backendRefs", [{"port": 8080}], "name"),
    ],
)
def test_an_invalid_route_is_rejected(field: str, value: object, complaint: str) -> None:
    broken = deepcopy(route(overlays()[0]))
    validate(broken)
    broken["spec"]["rules"][0][field] = value
    with pytest.raises(ValidationError, match=complaint):
        validate(broken)


# The page


def test_the_gateway_on_the_page_is_valid_and_accepts_the_route() -> None:
    gateway = on_the_page("kind: Gateway")
    validate(gateway)
    spec = route(overlays()[0])["spec"]
    assert spec["parentRefs"] == [{"name": gateway["metadata"]["name"]}]
    (listener,) = gateway["spec"]["listeners"]
    assert (listener["protocol"], listener["port"]) == ("HTTPS", 443)
    assert spec["hostnames"] == [listener["hostname"]]
    (certificate,) = listener["tls"]["certificateRefs"]
    assert any(f"secret tls {certificate['name']} " in code for code in PAGE.code)


def test_the_overlay_on_the_page_sets_both_hosts_and_the_gateway() -> None:
    page = on_the_page("  - ../../components/gateway")
    (overlay,) = page["resources"]
    assert [Path(each).name for each in page["components"]] == ["gateway"]
    assert (COMPONENTS / "gateway").is_dir()
    place = (ROOT / "k8s/overlays/own" / overlay).resolve()
    patches = json.dumps({"patches": page["patches"]})
    objects = with_components(place, "gateway", more=patches)
    changed = find(objects, "HTTPRoute/overmind")
    validate(changed)
    before = route(place)["spec"]
    assert changed["spec"]["hostnames"] != before["hostnames"]
    assert changed["spec"]["parentRefs"] != before["parentRefs"]
    assert {**changed["spec"], **{name: before[name] for name in ("hostnames", "parentRefs")}} == (
        before
    )
    (host,) = changed["spec"]["hostnames"]
    assert re.fullmatch(r"[a-z.]+", host)
    assert allowed_hosts(objects) == host
