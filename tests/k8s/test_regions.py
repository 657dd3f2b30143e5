"""Tests for the regions component, added to an overlay."""

from __future__ import annotations

import configparser
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has annotations, but no marker
import pytest

from tests.k8s.render import name_of, overlays, render
from tests.k8s.rules import RULES, Rule
from tests.support.service import ROOT

COMPONENT = ROOT / "k8s" / "components" / "regions"
VERSIONS = ("1.30", "1.32", "1.34")

Object = dict[str, Any]

each_overlay = pytest.mark.parametrize("overlay", overlays(), ids=lambda folder: folder.name)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("regions").resolve()


@cache
def with_regions(overlay: Path, directory: Path) -> list[Object]:
    place = directory / overlay.name
    place.mkdir()
    resource, component = (os.path.relpath(path, place) for path in (overlay, COMPONENT))
    text = {"resources": [resource], "components": [component]}
    (place / "kustomization.yaml").write_text(json.dumps(text), encoding="utf-8")
    return render(place)


def found(objects: list[Object], name: str) -> Object:
    (only,) = [each for each in objects if name_of(each) == name]
    return only


@each_overlay
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_overlay_with_regions_keeps_every_rule(
    overlay: Path, directory: Path, rule: Rule
) -> None:
    assert rule(with_regions(overlay, directory)) == []


@each_overlay
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(overlay: Path, directory: Path, version: str) -> None:
    for each in with_regions(overlay, directory):
        kubernetes_validate.validate(each, version, strict=True)


@each_overlay
def test_bootstrap_gets_the_peers_from_a_secret_and_the_service_does_not(
    overlay: Path, directory: Path
) -> None:
    pod = found(with_regions(overlay, directory), "Deployment/overmind")["spec"]["template"]["spec"]
    (bootstrap,) = pod["initContainers"]
    given = {each["name"]: each.get("valueFrom", {}) for each in bootstrap["env"]}
    for name, key in (
        ("COUCHDB_PEERS", "peers"),
        ("COUCHDB_PEERS_USERNAME", "username"),
        ("COUCHDB_PEERS_PASSWORD", "password"),
    ):
        assert given[name]["secretKeyRef"] == {"name": "overmind-peers", "key": key}
    (web,) = pod["containers"]
    assert not [each for each in web["env"] if each["name"].startswith("COUCHDB_PEERS")]


@each_overlay
def test_couchdb_checks_certificates_and_reconnects_within_seconds(
    overlay: Path, directory: Path
) -> None:
    objects = with_regions(overlay, directory)
    pod = found(objects, "StatefulSet/couchdb")["spec"]["template"]["spec"]
    (couchdb,) = pod["containers"]
    (mount,) = [each for each in couchdb["volumeMounts"] if each["name"] == "regions"]
    assert mount["mountPath"].startswith("/opt/couchdb/etc/default.d/")
    (volume,) = [each for each in pod["volumes"] if each["name"] == "regions"]
    config = found(objects, f"ConfigMap/{volume['configMap']['name']}")["data"][mount["subPath"]]
    settings = configparser.ConfigParser()
    settings.read_string(config)
    replicator = settings["replicator"]
    assert int(replicator["interval"]) <= 10_000
    assert replicator.getboolean("verify_ssl_certificates")
    assert replicator["ssl_trusted_certificates_file"] == "/etc/ssl/certs/ca-certificates.crt"
