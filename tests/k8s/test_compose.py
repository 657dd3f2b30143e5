"""Tests the Compose files against the Compose Specification's schema and the project's rules."""

from __future__ import annotations

import json
import re
import shlex
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from django.urls import resolve

from overmind_project import __version__, gunicorn_conf
from tests.k8s.rules import known_variables
from tests.support.manage import python
from tests.support.service import ROOT

SCHEMA = json.loads(Path(__file__).with_name("compose-spec.json").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
REGIONS = yaml.safe_load((ROOT / "docker-compose.regions.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("bootstrap", "overmind")

# A variable that is required, or may be missing.
FROM_OUTSIDE = re.compile(r"\$\{[A-Z_]+(:\?[^}]+|:-)\}")
INTERPOLATED = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::-(?P<default>[^}]*)|:\?[^}]+)\}")
ACCOUNTS = {"COUCHDB_PASSWORD": "relax", "OVERMIND_COUCHDB_PASSWORD": "rest"}

each_service = pytest.mark.parametrize("name", SERVICES)
each_of_ours = pytest.mark.parametrize("name", OURS)


def validate(compose: object) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(compose)


def test_the_file_matches_the_compose_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validate(COMPOSE)
    validate(REGIONS)


def test_a_misspelled_key_is_rejected() -> None:
    broken = deepcopy(COMPOSE)
    broken["services"]["overmind"]["depend_on"] = ["couchdb"]
    with pytest.raises(jsonschema.ValidationError, match="depend_on"):
        validate(broken)


@each_service
def test_the_service_is_locked(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert not service.get("cap_add")


@each_service
def test_the_service_is_healthy_or_done(name: str) -> None:
    healthcheck = SERVICES[name]["healthcheck"]
    assert healthcheck.get("disable", False) is (name == "bootstrap")
    assert ("test" in healthcheck) is (name != "bootstrap")


@each_service
def test_the_file_contains_no_secret(name: str) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        if re.search(r"(PASSWORD|SECRET|TOKEN|COOKIE|KEY)$", variable):
            assert FROM_OUTSIDE.fullmatch(value), variable


@each_service
def test_passwords_are_required(name: str) -> None:
    """The settings require that of the peers if there are peers."""
    for variable, value in SERVICES[name]["environment"].items():
        is_required = variable.endswith("PASSWORD") and variable != "COUCHDB_PEERS_PASSWORD"
        assert not is_required or ":?" in value, variable


@each_of_ours
def test_the_settings_know_every_variable(name: str) -> None:
    assert set(SERVICES[name]["environment"]) <= known_variables()


@each_of_ours
def test_the_image_has_this_version(name: str) -> None:
    assert SERVICES[name]["image"] == f"overmind:{__version__}"
    assert SERVICES[name]["build"]["args"]["VERSION"] == __version__


def test_the_service_starts_after_the_bootstrap() -> None:
    assert SERVICES["bootstrap"]["command"] == ["python", "manage.py", "bootstrap_couch"]
    assert SERVICES["overmind"]["depends_on"] == {
        "bootstrap": {"condition": "service_completed_successfully"}
    }


def test_the_web_container_has_no_admin_credentials() -> None:
    environment = SERVICES["overmind"]["environment"]
    assert not [name for name in environment if name.startswith("COUCHDB_ADMIN_")]
    admin = SERVICES["couchdb"]["environment"]["COUCHDB_PASSWORD"]
    assert SERVICES["bootstrap"]["environment"]["COUCHDB_ADMIN_PASSWORD"] == admin
    assert admin not in environment.values()


def test_the_health_check_requests_an_existing_url() -> None:
    check = " ".join(SERVICES["overmind"]["healthcheck"]["test"])
    found = re.search(r"http://127\.0\.0\.1:8080(/[^']*)'", check)
    assert found
    assert resolve(found[1]).url_name == "healthz"


def test_couchdb_is_probed_as_in_the_workflow() -> None:
    path = ROOT / ".github" / "workflows" / "check.yaml"
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    options = shlex.split(workflow["jobs"]["couchdb"]["services"]["couchdb"]["options"])
    probe = options[options.index("--health-cmd") + 1]
    assert SERVICES["couchdb"]["healthcheck"]["test"] == ["CMD", *shlex.split(probe)]


def test_the_service_has_time_to_stop() -> None:
    seconds = int(SERVICES["overmind"]["stop_grace_period"].removesuffix("s"))
    assert seconds > gunicorn_conf.graceful_timeout


# Regions


def peers_of_bootstrap(**given: str) -> str:
    """Return the peers that bootstrap reads with these variables, or why it does not start."""

    def value(match: re.Match[str]) -> str:
        return (ACCOUNTS | given).get(match["name"]) or match["default"]

    environment = {
        name: INTERPOLATED.sub(value, text)
        for name, text in SERVICES["bootstrap"]["environment"].items()
    }
    show = "from overmind_project import settings as s; s.env.raise_first(); print(s.COUCHDB_PEERS)"
    done = python("-c", show, **environment)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_a_single_region_needs_no_more_variables() -> None:
    assert peers_of_bootstrap() == "{}"


def test_bootstrap_gets_the_other_regions() -> None:
    east = {"COUCHDB_PEERS": "east=http://host.docker.internal:15984"}
    peers = "{'east': 'http://host.docker.internal:15984'}"
    assert peers_of_bootstrap(**east, COUCHDB_PEERS_PASSWORD="migrate") == peers
    assert "COUCHDB_PEERS_PASSWORD: not given" in peers_of_bootstrap(**east)


def test_the_service_and_bootstrap_know_the_name_of_their_region() -> None:
    for name in OURS:
        assert SERVICES[name]["environment"]["OVERMIND_REGION"] == "${OVERMIND_REGION:-}"


def test_the_web_container_does_not_get_the_password_of_the_peers() -> None:
    environment = SERVICES["overmind"]["environment"]
    assert not [name for name in environment if name.startswith("COUCHDB_PEERS")]


def test_couchdb_has_the_settings_of_the_regions_component() -> None:
    (mounted,) = [each for each in SERVICES["couchdb"]["volumes"] if each.endswith(".ini:ro")]
    source, target, _ = mounted.split(":")
    assert (ROOT / source).samefile(ROOT / "k8s/components/regions/regions.ini")
    assert target.startswith("/opt/couchdb/etc/default.d/")


def test_projects_of_two_regions_share_no_port() -> None:
    published = [SERVICES["overmind"]["ports"], REGIONS["services"]["couchdb"]["ports"]]
    for (port,) in published:
        assert INTERPOLATED.match(port), port
    assert INTERPOLATED.sub(lambda match: match["default"], published[0][0]) == "8080:8080"
    assert "ports" not in SERVICES["couchdb"], "without other regions, it is not published"


def test_couchdb_and_heal_reach_other_regions_on_this_host() -> None:
    for name, service in REGIONS["services"].items():
        assert service["extra_hosts"] == ["host.docker.internal:host-gateway"], name
    assert set(REGIONS["services"]) == {"couchdb", "bootstrap"}
