"""`manage.py check`: everything that is wrong or doubtful, at once, each with an id and a hint."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.checks import run_checks
from django.test import override_settings

from overmind_project import checks
from tests.overmind_project.bad_settings import BAD
from tests.overmind_project.reading import read_settings
from tests.support.manage import python
from tests.support.service import ROOT

COUCHDB = {"COUCHDB_URL": "http://couchdb:5984", "COUCHDB_PASSWORD": "hunter2"}


def ids_in(text: str) -> list[str]:
    return re.findall(r"\((overmind\.[EW]\d{3})\)", text)


def check(**environment: str) -> str:
    """Return what this project's checks say of an environment."""
    with override_settings(**read_settings("check", **environment)):
        said = "\n".join(map(str, run_checks(tags=["overmind"])))
    assert "hunter2" not in said
    return said


def test_every_variable_that_is_read_has_an_id_of_its_own() -> None:
    assert set(checks.IDS) >= settings.VARIABLES
    assert len(set(checks.IDS.values())) == len(checks.IDS)


def test_nobody_but_the_settings_reads_the_environment() -> None:
    setting = {"manage.py", "wsgi.py", "serve.py", "gunicorn_conf.py"}
    allowed = {"env.py", "multiprocess.py"} | setting
    for path in [ROOT / "manage.py", *ROOT.glob("overmind_project/**/*.py")]:
        names = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute)
        }
        assert path.name in allowed or names.isdisjoint({"environ", "getenv"}), path
    for path in ROOT.glob("zerglings/**/*.py"):
        assert path.name in allowed or "environ" not in path.read_text().replace("environment", "")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_listed_with_its_id_and_a_hint(name: str) -> None:
    said = check(**BAD[name])
    assert f"({checks.IDS[name]}) {name}: " in said
    _, _, after = said.partition(f"({checks.IDS[name]})")
    assert "\tHINT: " in after.split("\n")[1]


def test_all_that_is_wrong_is_listed_at_once() -> None:
    wrong = {
        "WEB_CONCURRENCY": "many",
        "OVERMIND_STORE": "mongodb",
        "COUCHDB_URL": "http://admin:hunter2@db",
        "COUCHDB_Q": "0",
        "COUCHDB_PASSWORD_FILE": "/nowhere",
        "DJANGO_DEBUG": "perhaps",
        "OVERMIND_TOKENS": "a",
    }
    done = python("manage.py", "check", **wrong)
    errors = [id_ for id_ in ids_in(done.stderr) if "E" in id_]
    assert sorted(errors) == sorted(checks.IDS[name] for name in wrong)
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("environment", "ids"),
    [
        ({}, []),
        (COUCHDB, []),
        (COUCHDB | {"COUCHDB_URL": "https://db.example.org"}, []),
        (COUCHDB | {"COUCHDB_URL": "http://10.1.2.3:5984"}, []),
        (COUCHDB | {"COUCHDB_URL": "http://[::1]:5984"}, []),
        (COUCHDB | {"COUCHDB_URL": "http://couchdb.overmind.svc.cluster.local:5984"}, []),
        (COUCHDB | {"COUCHDB_URL": "http://db.example.org"}, [checks.PLAIN_HTTP]),
        (COUCHDB | {"COUCHDB_URL": "http://8.8.8.8"}, [checks.PLAIN_HTTP]),
        ({"COUCHDB_URL": "http://db.example.org"}, [checks.NO_PASSWORD]),
        (COUCHDB | {"OVERMIND_STORE": "sqlite"}, [checks.UNUSED_COUCHDB]),
        (COUCHDB | {"OVERMIND_HEAL_GRACE": "0"}, []),
        (
            COUCHDB | {"OVERMIND_HEAL_GRACE": "0", "COUCHDB_CLUSTER_NODES": "3"},
            [checks.SHORT_GRACE],
        ),
        ({"OVERMIND_SQLITE_PATH": "/dev/null/a/b.sqlite3"}, [checks.NO_PLACE_FOR_FILE]),
        ({"WEB_CONCURRENCY": "4"}, []),
        ({"OVERMIND_TREADS": "4"}, [checks.MISSPELT]),
        ({"OVERMIND_SOMETHING": "4"}, []),
        ({"OVERMIND_PORT": "tcp://10.0.0.3:80", "OVERMIND_SERVICE_PORT_HTTP": "80"}, []),
        (COUCHDB | {"COUCHDB_PASSWRD": "x"}, [checks.MISSPELT]),
    ],
)
def test_what_is_doubtful_is_warned_of(environment: dict[str, str], ids: list[str]) -> None:
    assert ids_in(check(**environment)) == ids


def test_a_misspelt_variable_is_told_from_what_is_meant() -> None:
    assert "HINT: Is OVERMIND_THREADS meant?" in check(OVERMIND_TREADS="4")


def test_a_password_file_that_everybody_may_read_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2")
    given = {"COUCHDB_URL": "http://couchdb", "COUCHDB_PASSWORD_FILE": str(file)}
    file.chmod(0o644)
    said = check(**given)
    assert ids_in(said) == [checks.OPEN_FILE]
    assert f"chmod o= {file}" in said
    file.chmod(0o640)
    assert ids_in(check(**given)) == []


def in_kubernetes() -> dict[str, str]:
    """Return the environment of the service's container, with secrets as they are made."""
    text = (ROOT / "k8s/base/overmind-deployment.yaml").read_text()
    (container,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    made = {"username": "overmind", "password": "b2" * 16, "django-secret-key": "kJ4-x" * 13}
    return {
        variable["name"]: variable.get("value")
        or made[variable["valueFrom"]["secretKeyRef"]["key"]]
        for variable in container["env"]
    }


@pytest.mark.parametrize("environment", [{}, in_kubernetes()], ids=["embedded", "kubernetes"])
def test_nothing_is_to_be_said_about_the_image(environment: dict[str, str]) -> None:
    done = python("manage.py", "check", "--deploy", "--fail-level", "WARNING", **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("System check identified no issues")


def test_debug_is_warned_of_before_a_deployment() -> None:
    done = python("manage.py", "check", "--deploy", DJANGO_DEBUG="1")
    assert "security.W018" in done.stderr
