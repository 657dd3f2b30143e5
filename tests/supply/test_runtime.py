"""Tests that the service runs with only the packages in requirements.txt."""

from __future__ import annotations

import subprocess
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.supply.requirements import here, locked
from tests.supply.runtime import make_runtime
from tests.support.backends import sqlite_backend
from tests.support.service import ROOT, SERVE, Service, clean_environment


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_runtime(tmp_path_factory.mktemp("runtime"))


def test_the_environment_has_exactly_the_locked_packages(python: Path) -> None:
    listing = "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions()))"
    done = subprocess.run([python, "-c", listing], check=True, capture_output=True, text=True)
    packages = here(locked(ROOT / "requirements.txt"))
    assert done.stdout.split() == sorted(distribution(each.name).name for each in packages)


def test_every_module_of_the_service_can_be_imported(python: Path) -> None:
    script = (
        "import django, importlib, pkgutil, overmind_project, zerglings\n"
        "django.setup()\n"
        "for package in (overmind_project, zerglings):\n"
        "    for each in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(each.name)\n"
    )
    environment = clean_environment() | {"DJANGO_SETTINGS_MODULE": "overmind_project.settings"}
    done = subprocess.run(
        [python, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_service_serves_its_pages(python: Path, tmp_path: Path) -> None:
    with Service(
        sqlite_backend(tmp_path).environment, tmp_path, python=str(python), program=SERVE
    ) as service:
        spawned = service.call("POST", "/zerglings/").json["zergling"]["id"]
        assert service.call("POST", f"/zerglings/{spawned}", '"M"').status == 200
        browser = {"Accept": "text/html, */*;q=0.8"}
        for page in ("/", "/docs/", "/schema/", "/zerglings/", "/metrics"):
            assert service.call("GET", page, headers=browser).status == 200, page
