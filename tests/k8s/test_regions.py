"""Tests for the regions component."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.k8s.components import COMPONENTS, Object, each_overlay, with_components
from tests.k8s.render import dig, find
from tests.k8s.rules import known_variables
from tests.k8s.schemas import VERSIONS, validate
from tests.support.pages import Page
from tests.support.service import ROOT
from zerglings.storage.couchdb.store import database_names

PAGE = Page(ROOT / "docs" / "regions.md")
INI = "regions.ini"
PEERS = {
    "COUCHDB_PEERS": "peers",
    "COUCHDB_PEERS_USERNAME": "username",
    "COUCHDB_PEERS_PASSWORD": "password",
}
"""The key of the Secret for each variable."""


def regions(overlay: Path, more: str = "{}") -> list[Object]:
    return with_components(overlay, "regions", more=more)


def pod(objects: list[Object], workload: str) -> Object:
    spec: Object = find(objects, workload)["spec"]
    template: Object = dig(spec, "template") or dig(spec, "jobTemplate", "spec", "template")
    found: Object = template["spec"]
    return found


@each_overlay
def test_bootstrap_and_heal_get_the_peers_from_a_secret_and_the_service_does_not(
    overlay: Path,
) -> None:
    objects = regions(overlay)
    (bootstrap,) = pod(objects, "Deployment/overmind")["initContainers"]
    (heal,) = pod(objects, "CronJob/overmind-heal")["containers"]
    for container in (bootstrap, heal):
        given = {each["name"]: each.get("valueFrom", {}) for each in container["env"]}
        for name, key in PEERS.items():
            assert given[name]["secretKeyRef"] == {"name": "overmind-peers", "key": key}
    (web,) = pod(objects, "Deployment/overmind")["containers"]
    region = {"name": "overmind-peers", "key": "region"}
    for container in (bootstrap, web):
        given = {each["name"]: each.get("valueFrom", {}) for each in container["env"]}
        assert given["OVERMIND_REGION"]["secretKeyRef"] == region
    assert not [each for each in web["env"] if each["name"].startswith("COUCHDB_PEERS")]


@each_overlay
def test_the_bootstrap_job_runs_what_the_init_container_runs(overlay: Path) -> None:
    """Without the same peers it would end the replications."""
    images = [{"name": "overmind", "newName": "registry.example/ours", "newTag": "3.1.0"}]
    objects = regions(overlay, json.dumps({"images": images}))
    (init,) = pod(objects, "Deployment/overmind")["initContainers"]
    (job,) = pod(objects, "CronJob/overmind-bootstrap")["containers"]
    for name in ("command", "env", "image", "resources", "securityContext"):
        assert job[name] == init[name], name
    assert job["image"] == "registry.example/ours:3.1.0"


@each_overlay
def test_the_bootstrap_job_runs_only_by_hand_and_ends(overlay: Path) -> None:
    spec = find(regions(overlay), "CronJob/overmind-bootstrap")["spec"]
    assert spec["suspend"] is True
    job = spec["jobTemplate"]["spec"]
    assert job["backoffLimit"] == 0
    assert job["activeDeadlineSeconds"] > 0, "the init container waits without a limit"


@each_overlay
def test_the_policies_let_the_bootstrap_job_reach_couchdb_and_the_peers(overlay: Path) -> None:
    objects = regions(overlay)
    job = find(objects, "CronJob/overmind-bootstrap")["spec"]["jobTemplate"]["spec"]["template"]
    labels = job["metadata"]["labels"]
    for name in ("overmind", "overmind-heal"):  # to CouchDB and DNS, to the peers
        policy = find(objects, f"NetworkPolicy/{name}")["spec"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()
        assert "Egress" in policy["policyTypes"]
    ingress = find(objects, "NetworkPolicy/couchdb")["spec"]["ingress"]
    admitted = [dig(source, "podSelector", "matchLabels") for r in ingress for source in r["from"]]
    assert any(each.items() <= labels.items() for each in admitted)
    service = find(objects, "Service/overmind")["spec"]["selector"]
    assert not service.items() <= labels.items(), "it takes no requests"


@pytest.mark.parametrize("name", ["overmind-heal", "couchdb-regions"])
@each_overlay
def test_heal_and_couchdb_may_connect_to_the_peers(overlay: Path, name: str) -> None:
    objects = regions(overlay)
    policy = find(objects, f"NetworkPolicy/{name}")["spec"]
    (ports,) = (
        {port["port"] for port in rule["ports"]}
        for rule in policy["egress"]
        if any("ipBlock" in target for target in rule["to"])
    )
    assert ports == {443, 6984}
    selected = policy["podSelector"]["matchLabels"]
    job = find(objects, "CronJob/overmind-heal")["spec"]["jobTemplate"]["spec"]["template"]
    labels = (
        job["metadata"]["labels"] if name == "overmind-heal" else {"app": "couchdb", "tier": "db"}
    )
    assert selected.items() <= labels.items()


def to_peers(objects: list[Object], name: str) -> list[Object]:
    """Return the rules of a policy for addresses."""
    egress = find(objects, f"NetworkPolicy/{name}")["spec"]["egress"]
    return [rule for rule in egress if any("ipBlock" in to for to in rule.get("to", []))]


def settings(objects: list[Object]) -> tuple[str, configparser.SectionProxy]:
    """Return the name of the ConfigMap that CouchDB reads, and its settings."""
    couchdb = pod(objects, "StatefulSet/couchdb")
    (container,) = couchdb["containers"]
    (file,) = [each for each in container["volumeMounts"] if each.get("subPath") == INI]
    assert file["mountPath"].startswith("/opt/couchdb/etc/default.d/")
    (volume,) = [each for each in couchdb["volumes"] if each["name"] == file["name"]]
    name = str(volume["configMap"]["name"])
    parser = configparser.ConfigParser()
    parser.read_string(find(objects, f"ConfigMap/{name}")["data"][INI])
    return name, parser["replicator"]


@each_overlay
def test_couchdb_checks_certificates_and_reconnects_within_seconds(overlay: Path) -> None:
    _, replicator = settings(regions(overlay))
    assert int(replicator["interval"]) <= 10_000
    assert replicator.getboolean("verify_ssl_certificates")
    assert replicator["ssl_trusted_certificates_file"] == "/etc/ssl/certs/ca-certificates.crt"


def private_ca() -> str:
    """Return what the page adds to an overlay for a private CA, as JSON."""
    (text,) = (each.text for each in PAGE.blocks if each.text.startswith("patches:"))
    return json.dumps(yaml.safe_load(text))


@each_overlay
def test_certificates_of_a_private_ca_reach_couchdb_and_the_jobs(overlay: Path) -> None:
    objects = regions(overlay, private_ca())
    name, replicator = settings(objects)
    file = Path(replicator["ssl_trusted_certificates_file"])
    assert "BEGIN CERTIFICATE" in find(objects, f"ConfigMap/{name}")["data"][file.name]
    jobs = ("CronJob/overmind-heal", "CronJob/overmind-bootstrap")
    for job in jobs:
        (container,) = pod(objects, job)["containers"]
        assert {"name": "COUCHDB_CA_FILE", "value": str(file)} in container["env"]
    for workload in ("StatefulSet/couchdb", *jobs):
        found = pod(objects, workload)
        mounts = {
            each["mountPath"]: each["name"] for each in found["containers"][0]["volumeMounts"]
        }
        volumes = {each["name"]: dig(each, "configMap", "name") for each in found["volumes"]}
        assert volumes[mounts[str(file.parent)]] == name, workload


@each_overlay
def test_a_private_ca_changes_no_other_setting(overlay: Path) -> None:
    """The page repeats the settings of the component."""
    (_, usual), (_, own) = settings(regions(overlay)), settings(regions(overlay, private_ca()))
    changed = {name for name in {*usual, *own} if usual.get(name) != own.get(name)}
    assert changed == {"ssl_trusted_certificates_file"}


@each_overlay
def test_changed_settings_restart_couchdb(overlay: Path) -> None:
    """A file that is mounted by subPath never changes in a running pod, so the name changes."""
    assert settings(regions(overlay))[0] != settings(regions(overlay, private_ca()))[0]


def test_the_settings_on_the_page_are_those_of_the_component() -> None:
    (text,) = (each.text for each in PAGE.blocks if each.text.startswith("[replicator]"))
    usual, told = configparser.ConfigParser(), configparser.ConfigParser()
    usual.read(COMPONENTS / "regions" / INI)
    told.read_string(text)
    assert told == usual


def test_the_page_runs_the_bootstrap_job_of_the_component() -> None:
    (text,) = (each.text for each in PAGE.blocks if "kubectl set env" in each.text)
    assert "--from=cronjob/overmind-bootstrap " in text
    given = {name for name in known_variables() if f" {name}=" in text}
    assert given == {"OVERMIND_BOOTSTRAP_CHECK", "OVERMIND_BOOTSTRAP_ONLY"}


KUBECTL = """#!/bin/sh
echo "$*" >> "{log}"
case "$*" in
  "create job"*|"set env"*) cat "{job}" ;;
  "create --filename=-") cat > /dev/null; exit {create_status} ;;
  "logs"*) test "{has_log}" = True && test "$(grep -c ^logs "{log}")" -ge 2 ;;  # not at once
  "get job"*) test "$(grep -c "^get job" "{log}")" -lt 3 || echo '[{{"type":"{end}"}}]' ;;
  "get pod"*) printf %s "{exit_code}" ;;
esac
"""


def run_on_the_page(
    folder: Path, command: str, *, create_status: int = 0, exit_code: int | None = 0
) -> tuple[int, list[str]]:
    """Run a command with the function of the page; return its status and what it asks kubectl.

    If ``exit_code`` is None, the pod never ran: it has neither log nor status, and the job fails.
    """
    (text,) = (each.text for each in PAGE.blocks if "kubectl set env" in each.text)
    function, end, _ = text.partition("\n}\n")
    log, job, kubectl = folder / "log", folder / "job", folder / "kubectl"
    job.write_text("")
    kubectl.write_text(
        KUBECTL.format(
            log=log,
            job=job,
            create_status=create_status,
            has_log=exit_code is not None,
            end="Failed" if exit_code is None else "Complete",
            exit_code="" if exit_code is None else exit_code,
        )
    )
    kubectl.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", f"{function}{end}{command}"],
        env=os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        timeout=60,
        check=False,
    )
    return done.returncode, log.read_text().splitlines()


def test_the_function_on_the_page_repeats_a_job_and_waits_for_its_log(tmp_path: Path) -> None:
    status, calls = run_on_the_page(tmp_path, "bootstrap check A=1 B=2")
    assert status == 0
    removed = "delete job check --ignore-not-found --cascade=foreground"
    assert calls[0] == removed, "names of jobs are unique, and the old pod has a status, too"
    (env,) = [each for each in calls if each.startswith("set env --local ")]
    assert env.endswith(" A=1 B=2")
    assert [each for each in calls if each.startswith("logs")] == ["logs --follow job/check"] * 2


@pytest.mark.parametrize("exit_code", [0, 1, 4])
def test_the_function_on_the_page_ends_with_the_status_of_the_job(
    tmp_path: Path, exit_code: int
) -> None:
    """The log is complete before the job has its status."""
    found, calls = run_on_the_page(tmp_path, "bootstrap check A=1", exit_code=exit_code)
    assert found == exit_code
    ends = [number for number, each in enumerate(calls) if each.startswith("get job check ")]
    (*_, last_log) = (number for number, each in enumerate(calls) if each.startswith("logs"))
    assert len([number for number in ends if number > last_log]) == 2


def test_the_function_on_the_page_ends_with_1_if_the_pod_never_ran(tmp_path: Path) -> None:
    """After its time limit the job deletes such a pod, so the log never comes."""
    status, calls = run_on_the_page(tmp_path, "bootstrap check A=1", exit_code=None)
    assert status == 1
    assert len([each for each in calls if each.startswith("logs")]) == 3


def test_the_function_on_the_page_ends_if_the_job_is_refused(tmp_path: Path) -> None:
    status, calls = run_on_the_page(tmp_path, "bootstrap check A=1", create_status=1)
    assert status == 1
    assert not [each for each in calls if each.startswith(("logs", "get"))]


@each_overlay
def test_the_job_that_creates_an_account_on_the_page_gets_it_from_the_secret(overlay: Path) -> None:
    """Kubernetes replaces a reference only by a variable that is further up in the list."""
    (text,) = (each.text for each in PAGE.blocks if each.text.startswith("bootstrap account"))
    references = dict(re.findall(r"(\w+)='\$\((\w+)\)'", text))
    assert references == {
        "COUCHDB_USERNAME": "COUCHDB_PEERS_USERNAME",
        "COUCHDB_PASSWORD": "COUCHDB_PEERS_PASSWORD",
    }
    (job,) = pod(regions(overlay), "CronJob/overmind-bootstrap")["containers"]
    names = [each["name"] for each in job["env"]]
    for name, source in references.items():
        assert names.index(source) < names.index(name)
    # With peers, an account of both the service and the peers is an error.
    assert "COUCHDB_PEERS= " in text


def on_the_page(kind: str) -> Object:
    (text,) = (each.text for each in PAGE.blocks if f"kind: {kind}\n" in each.text)
    found: Object = yaml.safe_load(text)
    return found


OPENED = {"/_session", *(f"/{name}" for name in database_names("zerglings"))}
"""What peers need."""


def test_the_ingress_on_the_page_is_valid_and_opens_only_what_peers_need() -> None:
    ingress = on_the_page("Ingress")
    for version in VERSIONS:
        validate(ingress, version)
    (rule,) = ingress["spec"]["rules"]
    assert {each["path"] for each in rule["http"]["paths"]} == OPENED
    assert [rule["host"]] == ingress["spec"]["tls"][0]["hosts"]


@each_overlay
def test_the_route_on_the_page_is_valid_and_opens_only_what_peers_need(overlay: Path) -> None:
    route = on_the_page("HTTPRoute")
    validate(route)
    (rule,) = route["spec"]["rules"]
    assert {match["path"]["value"] for match in rule["matches"]} == OPENED
    assert rule["timeouts"] == {"request": "0s"}, "CouchDB's requests for changes never end"
    (backend,) = rule["backendRefs"]
    service = find(regions(overlay), f"Service/{backend['name']}")["spec"]
    assert backend["port"] in {port["port"] for port in service["ports"]}
    assert route["spec"]["hostnames"] == [on_the_page("Ingress")["spec"]["rules"][0]["host"]]


def patched_as_on_the_page() -> tuple[list[Object], list[Object]]:
    """Return the objects with the component, and with the patches of the page's overlay, too."""
    (text,) = (each.text for each in PAGE.blocks if each.text.startswith("resources:"))
    page = yaml.safe_load(text)
    (resource,) = page["resources"]
    assert [Path(each).name for each in page["components"]] == ["regions"]
    place = (ROOT / "k8s/overlays/own" / resource).resolve()
    return regions(place), regions(place, json.dumps({"patches": page["patches"]}))


def test_the_overlay_on_the_page_changes_two_policies_and_nothing_else() -> None:
    pairs = zip(*patched_as_on_the_page(), strict=True)
    changed = [after for before, after in pairs if before != after]
    assert {each["metadata"]["name"] for each in changed} == {"couchdb-regions", "overmind-heal"}
    for policy in changed:
        for version in VERSIONS:
            validate(policy, version)


def test_the_overlay_on_the_page_admits_another_gateway() -> None:
    (pods, before), (same_pods, after) = (
        find(objects, "NetworkPolicy/couchdb-regions")["spec"]["ingress"]
        for objects in patched_as_on_the_page()
    )
    assert pods == same_pods
    assert before["ports"] == after["ports"]
    (usual,), (own,) = before["from"], after["from"]
    assert list(own) == ["namespaceSelector"]
    assert usual["namespaceSelector"] != own["namespaceSelector"]


def test_the_overlay_on_the_page_narrows_both_policies_to_the_same_peers() -> None:
    usual, own = patched_as_on_the_page()
    ((one, other),) = zip(
        to_peers(own, "couchdb-regions"), to_peers(own, "overmind-heal"), strict=True
    )
    assert one["to"] == other["to"]
    assert all(to["ipBlock"]["cidr"].endswith("/32") for to in one["to"])
    for name in ("couchdb-regions", "overmind-heal"):
        (before,) = to_peers(usual, name)
        assert one["ports"] == before["ports"]
        assert [to["ipBlock"]["cidr"] for to in before["to"]] == ["0.0.0.0/0", "::/0"]
