"""Tests for the settings: the effect of each variable, and values that stop the start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from overmind_project import settings as ours
from overmind_project.settings import VARIABLES
from tests.overmind_project.bad_settings import BAD, NEVER_BAD
from tests.overmind_project.injected import injected_by, injections
from tests.overmind_project.reading import read_settings
from tests.support.manage import python
from tests.support.service import ROOT


def settings(**environment: str) -> dict[str, object]:
    """Return the settings in printable form, with secrets hidden."""
    found = read_settings(**environment)
    shown: dict[str, object] = json.loads(json.dumps(found, default=_printable))
    return shown


def _printable(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def test_the_main_process_does_not_import_ssl_before_its_workers_patch_it() -> None:
    show = "import sys, overmind_project.gunicorn_conf; print('ssl' in sys.modules)"
    done = python("-c", show, OVERMIND_RATE_LIMIT="9/s", OVERMIND_CORS_ORIGINS="*")
    assert done.stdout == "False\n", done.stderr


def test_the_keep_alive_time_is_configurable() -> None:
    show = "from overmind_project.gunicorn_conf import keepalive; print(keepalive)"
    for given, seconds in ({}, "75"), ({"OVERMIND_KEEP_ALIVE": "620"}, "620"):
        done = python("-c", show, **given)
        assert done.stdout == f"{seconds}\n", done.stderr


def test_defaults_are_an_open_service_with_the_embedded_store() -> None:
    shown = settings()
    assert shown["OVERMIND_STORE"] == "sqlite"
    assert shown["OVERMIND_HTTP_ADDR"] == "0.0.0.0:8080"
    assert shown["OVERMIND_SQLITE_PATH"] == str(ROOT / "var/overmind.sqlite3")
    assert shown["ALLOWED_HOSTS"] == ["*"]
    assert shown["DEBUG"] is False


def test_couchdb_is_found_by_the_variables_that_kubernetes_injects() -> None:
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


def test_the_peers_of_a_region_are_named_urls() -> None:
    given = {"COUCHDB_URL": "http://own:5984", "COUCHDB_PEERS_PASSWORD": "hunter2"}
    shown = settings(**given, COUCHDB_PEERS="east=https://e:6984/, west=http://w")
    assert shown["COUCHDB_PEERS"] == {"east": "https://e:6984", "west": "http://w"}
    assert shown["COUCHDB_PEERS_USERNAME"] == "overmind-peer"
    assert "hunter2" not in str(shown)


@pytest.mark.parametrize("name", ["east", "eu-west-1", "7", "a" * 63, ""])
def test_a_region_has_a_name_that_peers_can_have(name: str) -> None:
    assert settings(COUCHDB_URL="http://own", OVERMIND_REGION=name)["OVERMIND_REGION"] == name


@pytest.mark.parametrize(
    "given",
    [
        *({"OVERMIND_REGION": name} for name in ("East", "a b", "a" * 64, "öst", "east:1")),
        {
            "OVERMIND_REGION": "east",
            "COUCHDB_PEERS": "east=http://e",
            "COUCHDB_PEERS_PASSWORD": "x",
        },
        {"OVERMIND_REGION": "east", "OVERMIND_STORE": "sqlite"},
    ],
)
def test_a_region_without_a_name_of_its_own_in_couchdb_stops_the_start(
    given: dict[str, str],
) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^OVERMIND_REGION: "):
        settings(COUCHDB_URL="http://own", **given)


def test_a_region_is_no_peer_of_itself() -> None:
    given = {"COUCHDB_URL": "http://own:5984/", "COUCHDB_PEERS_PASSWORD": "hunter2"}
    with pytest.raises(ImproperlyConfigured, match=r"^COUCHDB_PEERS: ") as caught:
        settings(**given, COUCHDB_PEERS="east=http://e,own=http://own:5984")
    assert "hunter2" not in str(caught.value)


def test_variables_injected_for_other_services_are_ignored() -> None:
    """Every variable is compared with what a Service of any name injects."""
    found = [
        (name, service, value)
        for name in sorted(ours.VARIABLES)
        for service, value in injections(name)
    ]
    assert ("COUCHDB_SERVICE_PORT", "couchdb-service", "tcp://10.0.0.2:5984") in found
    nothing = settings()
    for name, service, value in found:
        meant = service == "couchdb" and name in ("COUCHDB_SERVICE_HOST", "COUCHDB_SERVICE_PORT")
        if not meant:
            assert settings(**{name: value}) == nothing, (name, service)


@pytest.mark.parametrize(
    "service",
    [
        *("couchdb-service", "couchdb-url", "couchdb-admin", "couchdb-peers", "overmind"),
        *("overmind-http-addr", "overmind-service", "overmind-http", "django", "web-concurrency"),
    ],
)
def test_variables_injected_for_a_similar_service_name_change_nothing(service: str) -> None:
    given = injected_by(service)
    shown, bare = settings(**given), settings()
    assert shown | {"UNREAD_VARIABLES": []} == bare | {"UNREAD_VARIABLES": []}
    beside = {"COUCHDB_SERVICE_HOST": "10.0.0.2", "COUCHDB_PASSWORD": "swarm"}
    assert settings(**beside | given)["COUCHDB_URL"] == "http://10.0.0.2:5984"


@pytest.mark.parametrize(
    "value", ["tcp://[fd00::2]:5984", "udp://10.0.0.2:53", "sctp://10.0.0.2:1"]
)
def test_an_injected_address_is_not_taken_for_a_port(value: str) -> None:
    assert settings(COUCHDB_SERVICE_PORT=value) == settings()
    assert settings(COUCHDB_PORT=value)["OVERMIND_STORE"] == "sqlite"


def test_the_url_overrides_injected_variables_and_the_store_overrides_both() -> None:
    given = {"COUCHDB_URL": "https://db.example/couch/", "COUCHDB_SERVICE_HOST": "10.0.0.2"}
    assert settings(**given)["COUCHDB_URL"] == "https://db.example/couch"
    assert settings(**given, OVERMIND_STORE="sqlite")["OVERMIND_STORE"] == "sqlite"


def test_an_ipv6_host_makes_a_url() -> None:
    shown = settings(COUCHDB_SERVICE_HOST="fd00::2")
    assert shown["COUCHDB_URL"] == "http://[fd00::2]:5984"


def test_every_variable_is_tested_with_a_bad_value() -> None:
    assert BAD.keys() ^ NEVER_BAD == VARIABLES


@pytest.mark.parametrize(
    "host",
    ["db:5984", "a:1", "http://couchdb", "couch db", "a..b", "::::", "[fd00::2]", "fe80::1%1"],
)
def test_an_invalid_host_is_rejected(host: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^COUCHDB_SERVICE_HOST: "):
        read_settings(COUCHDB_SERVICE_HOST=host)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_stops_the_start_with_a_line_that_names_it(name: str) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        read_settings(**BAD[name])
    assert str(raised.value).startswith(f"{name}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("command", ["serve", "bootstrap_couch", "export_zerglings -"])
def test_a_bad_value_ends_each_command_with_only_that_line(command: str) -> None:
    done = python("manage.py", *command.split(), **BAD["OVERMIND_HTTP_ADDR"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("overmind: OVERMIND_HTTP_ADDR: ")
    assert done.stderr.count("\n") == 1


def test_a_final_line_end_in_any_variable_changes_nothing(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("\ufeffa:read:" + "ab" * 32 + "\r\n")
    ca_file = tmp_path / "ca.crt"
    ca_file.write_text("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
    given = {
        "OVERMIND_SQLITE_PATH": "/data/overmind.sqlite3",
        "OVERMIND_TOKENS_FILE": str(tokens),
        "OVERMIND_RATE_LIMIT": "9/s",
        "OVERMIND_TRUSTED_PROXIES": "10.0.0.0/8",
        "OVERMIND_CORS_ORIGINS": "*",
        "OVERMIND_BOOTSTRAP_ONLY": "admin",
        "OVERMIND_BOOTSTRAP_RETIRE": "old",
        "COUCHDB_SERVICE_HOST": "couchdb",
        "COUCHDB_SERVICE_PORT": "5985",
        "COUCHDB_CA_FILE": str(ca_file),
        "COUCHDB_USERNAME": "overmind",
        "COUCHDB_DATABASE": "swarm",
        "COUCHDB_Q": "2",
        "DJANGO_ALLOWED_HOSTS": "example.org",
        "WEB_CONCURRENCY": "2",
    }
    plain = settings(**given)
    for end in ("\n", "\r\n"):
        assert settings(**{name: value + end for name, value in given.items()}) == plain


def test_an_empty_variable_counts_as_unset() -> None:
    for nothing in ("", "\n", "\r\n", "\ufeff"):
        names = ["WEB_CONCURRENCY", "COUCHDB_URL", "DJANGO_ALLOWED_HOSTS"]
        assert settings(**dict.fromkeys(names, nothing)) == settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COUCHDB_URL", "http//admin:hunter2@db"),
        ("COUCHDB_URL", "admin:hunter2@db:5984"),
        ("COUCHDB_URL", "http://admin:12#hunter2@db"),
        ("COUCHDB_URL", "http://admin:12/hunter2@db"),
        ("COUCHDB_SERVICE_HOST", "admin:hunter2@db"),
    ],
)
def test_errors_about_couchdb_urls_do_not_repeat_secrets(name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        read_settings(**{name: value})
    assert str(raised.value).startswith(f"{name}: ")
    problems = read_settings("check", **{name: value})["PROBLEMS"]
    assert name in {problem.variable for problem in problems}
    told = [str(raised.value), *map(str, problems), *(problem.hint for problem in problems)]
    assert "hunter2" not in "".join(told)


def test_couchdb_without_a_host_or_url_stops_the_start() -> None:
    for given in ({"OVERMIND_STORE": "couchdb"}, {"COUCHDB_PASSWORD": "hunter2"}):
        with pytest.raises(ImproperlyConfigured, match="COUCHDB_SERVICE_HOST") as raised:
            read_settings(**given)
        assert "hunter2" not in str(raised.value)


def test_passwords_from_files_are_not_stored_in_settings(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2")
    shown = settings(COUCHDB_URL="http://h", COUCHDB_PASSWORD_FILE=str(file))
    assert "hunter2" not in json.dumps(shown)
