"""Tests for `manage.py check`: it reports every problem at once, each with an id and a hint."""

from __future__ import annotations

import ast
import re
from itertools import chain
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.checks import run_checks
from django.http.request import split_domain_port, validate_host
from django.test import override_settings

from overmind_project import checks
from tests.overmind_project.bad_settings import BAD
from tests.overmind_project.injected import injected_by
from tests.overmind_project.reading import read_settings
from tests.support.manage import python
from tests.support.service import ROOT

COUCHDB = {"COUCHDB_URL": "http://couchdb:5984", "COUCHDB_PASSWORD": "hunter2"}

PEERS = {"COUCHDB_PEERS_PASSWORD": "hunter2"}


def ids_in(text: str) -> list[str]:
    return re.findall(r"\((overmind\.[EW]\d{3})\)", text)


def check(**environment: str) -> str:
    """Return the messages of this project's checks for an environment."""
    with override_settings(**read_settings("check", **environment)):
        said = "\n".join(map(str, run_checks(tags=["overmind"])))
    assert "hunter2" not in said
    return said


def test_every_variable_has_its_own_check_id() -> None:
    assert set(checks.IDS) >= settings.VARIABLES
    assert len(set(checks.IDS.values())) == len(checks.IDS)


def test_only_the_settings_read_the_environment() -> None:
    setting = {"manage.py", "wsgi.py", "serve.py", "gunicorn_conf.py"}
    allowed = {"env.py", "multiprocess.py"} | setting
    packages = (ROOT.glob(f"{name}/**/*.py") for name in ("overmind_project", "zerglings"))
    for path in [ROOT / "manage.py", *chain.from_iterable(packages)]:
        names = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute)
        }
        assert path.name in allowed or names.isdisjoint({"environ", "getenv"}), path


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_listed_with_its_id_and_a_hint(name: str) -> None:
    said = check(**BAD[name])
    assert f"({checks.IDS[name]}) {name}: " in said
    _, _, after = said.partition(f"({checks.IDS[name]})")
    assert "\tHINT: " in after.split("\n")[1]


def test_all_problems_are_listed_at_once() -> None:
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
        (COUCHDB | PEERS | {"COUCHDB_PEERS": "e=https://db.example.org"}, []),
        (
            COUCHDB | PEERS | {"COUCHDB_PEERS": "e=http://10.1.2.3,w=http://couchdb.west"},
            [checks.PLAIN_HTTP],
        ),
        (COUCHDB | {"OVERMIND_STORE": "sqlite"}, [checks.UNUSED_COUCHDB]),
        (COUCHDB | {"OVERMIND_HEAL_GRACE": "0"}, []),
        (
            COUCHDB | {"OVERMIND_HEAL_GRACE": "0", "COUCHDB_CLUSTER_NODES": "3"},
            [checks.SHORT_GRACE],
        ),
        ({"OVERMIND_SQLITE_PATH": "/dev/null/a/b.sqlite3"}, [checks.UNWRITABLE_FILE]),
        ({"OVERMIND_SQLITE_PATH": "/tmp"}, [checks.UNWRITABLE_FILE]),
        ({"WEB_CONCURRENCY": "4"}, []),
        ({"OVERMIND_TREADS": "4"}, [checks.MISSPELT]),
        ({"OVERMIND_SOMETHING": "4"}, []),
        ({"OVERMIND_PORT": "tcp://10.0.0.3:80", "OVERMIND_SERVICE_PORT_HTTP": "80"}, []),
        (COUCHDB | {"COUCHDB_PASSWRD": "x"}, [checks.MISSPELT]),
    ],
)
def test_doubtful_settings_are_warnings(environment: dict[str, str], ids: list[str]) -> None:
    assert ids_in(check(**environment)) == ids


def hints(*names: str) -> list[str]:
    """Return the hints about unknown variables with these names."""
    with override_settings(UNREAD_VARIABLES=names):
        return [str(warning.hint) for warning in checks.misspelt()]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("OVERMIND_TREADS", "OVERMIND_THREADS"),
        ("OVERMND_THREADS", "OVERMIND_THREADS"),
        ("WEB_CONCURENCY", "WEB_CONCURRENCY"),
        ("COUCH_URL", "COUCHDB_URL"),
        ("COUCHDB_URI", "COUCHDB_URL"),
        ("COUCHDB_USER", "COUCHDB_USERNAME"),
        ("COUCHDB_ADMIN_PASS", "COUCHDB_ADMIN_PASSWORD"),
        ("COUCHDB_HOST", "COUCHDB_SERVICE_HOST"),
        ("COUCHDB_PORT", "COUCHDB_SERVICE_PORT"),
        ("COUCHDB_SERVICE_URL", "COUCHDB_URL"),
        ("COUCHDB_NODES", "COUCHDB_CLUSTER_NODES"),
        ("OVERMIND_RETIRE", "OVERMIND_BOOTSTRAP_RETIRE"),
        ("OVERMIND_FORMAT", "OVERMIND_BOOTSTRAP_FORMAT or OVERMIND_LOG_FORMAT"),
    ],
)
def test_a_misspelt_variable_is_reported_with_the_intended_name(name: str, meant: str) -> None:
    assert hints(name) == [f"Did you mean {meant}?"]


@pytest.mark.parametrize(
    "name",
    [
        *("COUCHDB_W", "COUCHDB_R", "OVERMIND_BOOTSTRAP_LOG", "OVERMIND_LOG_LEVEL"),
        *("OVERMIND_URL", "OVERMIND_STORE_PATH", "DJANGO_SETTINGS_MODULE", "COUCHDB_VERSION"),
        *("PATH", "WEB_PORT"),
    ],
)
def test_variables_of_other_programs_are_not_reported_as_misspelt(name: str) -> None:
    assert hints(name) == []


def test_each_variable_is_recognised_with_any_single_typing_error() -> None:
    for name in settings.VARIABLES:
        place = name.rindex("_") + 2
        if place >= len(name):
            continue  # the last word has one letter, so too little is left to recognise
        for slip in (
            name[:place] + name[place + 1 :],
            name[:place] + name[place] + name[place:],
            name[: place - 1] + name[place] + name[place - 1] + name[place + 1 :],
        ):
            if slip not in settings.VARIABLES:
                assert hints(slip) == [f"Did you mean {name}?"], slip


def test_a_port_set_by_hand_is_a_warning_and_an_injected_one_is_not() -> None:
    assert ids_in(check(COUCHDB_PORT="5984")) == [checks.MISSPELT]
    assert ids_in(check(**injected_by("couchdb-service"))) == []


@pytest.mark.parametrize(
    "host",
    [
        *("https://example.org", "example.org:8080", "example.org/", "a.example b.example"),
        *("*.example.org", "example.*", "example.org.", "::1", "[::1]:8080", "münchen.example"),
    ],
)
def test_an_allowed_host_that_no_request_can_match_is_a_warning(host: str) -> None:
    assert not validate_host(split_domain_port(host)[0] or "example.org", [host])
    said = check(DJANGO_ALLOWED_HOSTS=f"good.example,{host}")
    assert ids_in(said) == [checks.NO_SUCH_HOST]
    assert repr(host) in said


@pytest.mark.parametrize(
    "host", ["example.org", ".example.org", "Example.ORG", "10.0.0.1", "[::1]", "over_mind", "*"]
)
def test_an_allowed_host_that_a_request_can_match_is_not_a_warning(host: str) -> None:
    assert ids_in(check(DJANGO_ALLOWED_HOSTS=host)) == []


def test_a_world_readable_password_file_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2")
    given = {"COUCHDB_URL": "http://couchdb", "COUCHDB_PASSWORD_FILE": str(file)}
    file.chmod(0o644)
    said = check(**given)
    assert ids_in(said) == [checks.OPEN_FILE]
    assert f"chmod o= {file}" in said
    file.chmod(0o640)
    assert ids_in(check(**given)) == []


def test_a_world_readable_password_file_of_the_peers_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2")
    file.chmod(0o644)
    peers = {"COUCHDB_PEERS": "east=http://east", "COUCHDB_PEERS_PASSWORD_FILE": str(file)}
    said = check(**COUCHDB | peers)
    assert ids_in(said) == [checks.OPEN_FILE]
    assert "COUCHDB_PEERS_PASSWORD_FILE" in said


def in_kubernetes() -> dict[str, str]:
    """Return the environment of the service's container, with generated secrets."""
    text = (ROOT / "k8s/base/overmind-deployment.yaml").read_text()
    (container,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    made = {"username": "overmind", "password": "b2" * 16, "django-secret-key": "kJ4-x" * 13}
    return {
        variable["name"]: variable.get("value")
        or made[variable["valueFrom"]["secretKeyRef"]["key"]]
        for variable in container["env"]
    }


@pytest.mark.parametrize("environment", [{}, in_kubernetes()], ids=["embedded", "kubernetes"])
def test_the_deployment_check_of_the_image_finds_no_issues(environment: dict[str, str]) -> None:
    done = python("manage.py", "check", "--deploy", "--fail-level", "WARNING", **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("System check identified no issues")


def test_debug_is_a_warning_in_the_deployment_check() -> None:
    done = python("manage.py", "check", "--deploy", DJANGO_DEBUG="1")
    assert "security.W018" in done.stderr
