"""Tests that every place that names the version has the one of ``overmind_project/__init__.py``."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from overmind_project import __version__
from tests.support.service import ROOT

NUMBER = r"(\d+\.\d+\.\d+)"
PLACES = {
    "CHANGELOG.md": rf"\A.*?\n## {NUMBER} - ",
    "docker-compose.yaml": rf"(?:image: overmind:|VERSION: ){NUMBER}",
    "docs/kubernetes.md": rf"(?:load docker-image overmind:|IMAGE:|tags/v){NUMBER}",
    "k8s/base/kustomization.yaml": rf"- name: overmind\n    newTag: {NUMBER}",
    "k8s/overlays/production/kustomization.yaml": rf"- name: overmind\n    newTag: {NUMBER}",
    "SECURITY.md": rf"(?:IMAGE:|tags/v){NUMBER}",
}
"""The files that name the version, and how."""

ELSEWHERE = {"docs/bootstrap.md", "overmind_project/__init__.py"}
"""A fact about a past version, and the one place."""


@pytest.mark.parametrize("name", PLACES)
def test_a_file_names_the_version(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(PLACES[name], text, re.DOTALL)
    assert found
    assert set(found) == {__version__}


def test_no_other_file_names_the_version() -> None:
    pattern = rf"(?<![\d.]){re.escape(__version__)}(?![\d.])"
    files = [*ROOT.glob("*.*"), ROOT / "Makefile", ROOT / "Dockerfile"]
    for folder in ("docs", "k8s", "overmind_project", "zerglings", "tests/k8s", ".github"):
        files += (ROOT / folder).rglob("*.*")
    kinds = {".md", ".yaml", ".json", ".toml", ".py", ".sh", ".html", ".js", ""}
    named = {
        str(file.relative_to(ROOT))
        for file in files
        if file.is_file() and file.suffix in kinds
        if re.search(pattern, file.read_text(encoding="utf-8"))
    }
    assert named == PLACES.keys() | ELSEWHERE


def test_make_prints_the_version() -> None:
    printed = subprocess.run(
        ["make", "--silent", "version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert printed.stdout == f"{__version__}\n"


def test_an_image_has_the_version_of_its_sources() -> None:
    printed = subprocess.run(
        ["make", "--dry-run", "image"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    words = printed.stdout.split()
    assert f"VERSION={__version__}" in words
    assert f"overmind:{__version__}" in words


@pytest.mark.parametrize("target", ["image", "publish"])
@pytest.mark.parametrize("how", ["argument", "environment"])
def test_make_rejects_another_version(target: str, how: str) -> None:
    given = ["VERSION=9.9.9"] if how == "argument" else ["--environment-overrides"]
    refused = subprocess.run(
        ["make", "--dry-run", target, "IMAGE=registry.example/overmind", *given],
        cwd=ROOT,
        env=os.environ | {"VERSION": "9.9.9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "check out the tag v9.9.9" in refused.stderr
    assert "docker" not in refused.stdout


def test_make_ignores_a_version_of_the_environment() -> None:
    printed = subprocess.run(
        ["make", "--silent", "version"],
        cwd=ROOT,
        env=os.environ | {"VERSION": "9.9.9"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout == f"{__version__}\n"


def test_the_release_workflow_compares_the_tag_with_the_version() -> None:
    text = (ROOT / ".github/workflows/release.yaml").read_text(encoding="utf-8")
    assert "version=v$(make --silent version)" in text
    assert 'test "$GITHUB_REF_NAME" = "$version" || ' in text
