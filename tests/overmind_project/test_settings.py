"""The settings as a process finds them: what each variable does, and what stops the start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ROOT, clean_environment

SHOW = """
import json
from overmind_project import settings as s
names = [n for n in dir(s) if n.startswith(("OVERMIND_", "COUCHDB_", "WEB_", "ALLOWED", "DEBUG"))]
print(json.dumps({n: getattr(s, n) for n in names}, default=str))
"""


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def settings(**environment: str) -> dict[str, object]:
    result = python("-c", SHOW, **environment)
    assert result.returncode == 0, result.stderr
    shown: dict[str, object] = json.loads(result.stdout)
    return shown


def test_the_main_process_loads_nothing_that_its_workers_are_to_patch() -> None:
    show = "import sys, overmind_project.gunicorn_conf; print('ssl' in sys.modules)"
    done = python("-c", show, OVERMIND_RATE_LIMIT="9/s", OVERMIND_CORS_ORIGINS="*")
    assert done.stdout == "False\n", done.stderr


def test_without_any_variable_it_is_open_and_embedded() -> None:
    shown = settings()
    assert shown["OVERMIND_STORE"] == "sqlite"
    assert shown["OVERMIND_HTTP_ADDR"] == "0.0.0.0:8080"
    assert shown["OVERMIND_SQLITE_PATH"] == str(ROOT / "var/overmind.sqlite3")
    assert shown["ALLOWED_HOSTS"] == ["*"]
    assert shown["DEBUG"] is False


def test_in_kubernetes_couchdb_is_found_by_what_is_injected() -> None:
    shown = settings(
        COUCHDB_SERVICE_HOST="10.0.0.2",
        COUCHDB_SERVICE_PORT="5985",
        COUCHDB_PORT="tcp://10.0.0.2:5985",
        COUCHDB_PORT_5984_TCP="tcp://10.0.0.2:5985",
        OVERMIND_PORT="tcp://10.0.0.3:80",
        OVERMIND_SERVICE_HOST="10.0.0.3",
    )
    assert shown["OVERMIND_STORE"] == "couchdb"
    assert shown["COUCHDB_URL"] == "http://10.0.0.2:5985"
    assert shown["COUCHDB_USERNAME"] == shown["COUCHDB_ADMIN_USERNAME"] == "admin"
    assert shown["COUCHDB_DATABASE"] == "zerglings"


def test_what_kubernetes_injects_for_other_ports_chooses_nothing() -> None:
    assert settings(COUCHDB_PORT="tcp://10.0.0.2:5984")["OVERMIND_STORE"] == "sqlite"


def test_a_url_goes_before_what_is_injected_and_a_store_before_both() -> None:
    given = {"COUCHDB_URL": "https://db.example/couch/", "COUCHDB_SERVICE_HOST": "10.0.0.2"}
    assert settings(**given)["COUCHDB_URL"] == "https://db.example/couch"
    assert settings(**given, OVERMIND_STORE="sqlite")["OVERMIND_STORE"] == "sqlite"


def test_an_ipv6_host_makes_a_url() -> None:
    shown = settings(COUCHDB_SERVICE_HOST="fd00::2")
    assert shown["COUCHDB_URL"] == "http://[fd00::2]:5984"


BAD = {
    "OVERMIND_HTTP_ADDR": {"OVERMIND_HTTP_ADDR": "tcp://1.2.3.4:80"},
    "OVERMIND_STORE": {"OVERMIND_STORE": "mongodb"},
    "WEB_CONCURRENCY": {"WEB_CONCURRENCY": "many"},
    "OVERMIND_THREADS": {"OVERMIND_THREADS": "many"},
    "COUCHDB_SERVICE_HOST": {"COUCHDB_SERVICE_HOST": "http://couchdb"},
    "COUCHDB_SERVICE_PORT": {"COUCHDB_SERVICE_HOST": "h", "COUCHDB_SERVICE_PORT": "tcp://h:1"},
    "COUCHDB_URL": {"COUCHDB_URL": "couchdb"},
    "COUCHDB_DATABASE": {"COUCHDB_URL": "http://h", "COUCHDB_DATABASE": "_users"},
    "COUCHDB_USERNAME": {"COUCHDB_URL": "http://h", "COUCHDB_USERNAME": "a:b"},
    "COUCHDB_PASSWORD_FILE": {"COUCHDB_URL": "http://h", "COUCHDB_PASSWORD_FILE": "/nowhere"},
    "COUCHDB_CA_FILE": {"COUCHDB_URL": "https://h", "COUCHDB_CA_FILE": "/nowhere"},
    "COUCHDB_CLUSTER_NODES": {"COUCHDB_URL": "http://h", "COUCHDB_CLUSTER_NODES": "-1"},
    "COUCHDB_Q": {"COUCHDB_URL": "http://h", "COUCHDB_Q": "x"},
    "COUCHDB_N": {"COUCHDB_URL": "http://h", "COUCHDB_N": "0"},
    "COUCHDB_REVS_LIMIT": {"COUCHDB_URL": "http://h", "COUCHDB_REVS_LIMIT": "0"},
    "OVERMIND_LOG_FORMAT": {"OVERMIND_LOG_FORMAT": "yaml"},
    "OVERMIND_TOKENS": {"OVERMIND_TOKENS": "a:read:b"},
    "OVERMIND_RATE_LIMIT": {"OVERMIND_RATE_LIMIT": "0/s"},
    "OVERMIND_TRUSTED_PROXIES": {"OVERMIND_TRUSTED_PROXIES": "10.0.0.1/8"},
    "OVERMIND_CORS_ORIGINS": {"OVERMIND_CORS_ORIGINS": "https://example.org/"},
    "DJANGO_DEBUG": {"DJANGO_DEBUG": "perhaps"},
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_stops_the_start_with_one_line_that_names_it(name: str) -> None:
    for command in (
        ["manage.py", "serve"],
        ["manage.py", "bootstrap_couch"],
        ["manage.py", "export_zerglings", "-"],
    ):
        result = python(*command, **BAD[name])
        assert result.returncode != 0
        assert result.stdout == ""
        assert result.stderr.startswith(f"overmind: {name}: "), result.stderr
        assert result.stderr.count("\n") == 1


def test_an_empty_variable_is_none() -> None:
    empty = dict.fromkeys(["WEB_CONCURRENCY", "COUCHDB_URL", "DJANGO_ALLOWED_HOSTS"], "")
    assert settings(**empty) == settings()


def test_no_bad_place_of_couchdb_repeats_what_may_be_a_secret() -> None:
    for name, value in (
        ("COUCHDB_URL", "http//admin:hunter2@db"),
        ("COUCHDB_URL", "admin:hunter2@db:5984"),
        ("COUCHDB_URL", "http://admin:12#hunter2@db"),
        ("COUCHDB_URL", "http://admin:12/hunter2@db"),
        ("COUCHDB_SERVICE_HOST", "admin:hunter2@db"),
    ):
        result = python("manage.py", "bootstrap_couch", **{name: value})
        assert result.returncode == 2
        assert result.stderr.startswith(f"overmind: {name}: ")
        assert "hunter2" not in result.stderr
        result = python("manage.py", "check", **{name: value})
        assert result.returncode == 1
        assert f"{name}: " in result.stderr
        assert "hunter2" not in result.stderr


def test_couchdb_without_a_place_stops_the_start() -> None:
    for given in ({"OVERMIND_STORE": "couchdb"}, {"COUCHDB_PASSWORD": "hunter2"}):
        result = python("manage.py", "check", **given)
        assert result.returncode != 0
        assert "COUCHDB_SERVICE_HOST" in result.stderr
        assert "hunter2" not in result.stderr


def test_passwords_from_files_are_in_no_setting(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2")
    shown = settings(COUCHDB_URL="http://h", COUCHDB_PASSWORD_FILE=str(file))
    assert "hunter2" not in json.dumps(shown)
