"""Tests for the couchdb-metrics component."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import requests

from tests.k8s.components import Object, each_overlay, with_components
from tests.k8s.render import containers, find, name_of, pods, render
from tests.support.pages import Page
from tests.support.service import ROOT
from tests.support.site import CouchDBServer

PATH = "/_node/_local/_prometheus"

DEADLINE = 120.0
"""Seconds for a request: CouchDB hashes a password 600,000 times."""


def endpoint(overlay: Path) -> Object:
    monitor = find(with_components(overlay, "couchdb-metrics"), "PodMonitor/couchdb")
    (found,) = monitor["spec"]["podMetricsEndpoints"]
    endpoint: Object = found
    return endpoint


@each_overlay
def test_the_component_adds_a_monitor_and_lets_it_in(overlay: Path) -> None:
    before = {name_of(each) for each in render(overlay)}
    after = {name_of(each) for each in with_components(overlay, "couchdb-metrics")}
    assert after - before == {"PodMonitor/couchdb", "NetworkPolicy/couchdb-metrics"}
    assert before < after


@each_overlay
def test_each_node_of_couchdb_is_scraped_once(overlay: Path) -> None:
    objects = with_components(overlay, "couchdb-metrics")
    labels = find(objects, "PodMonitor/couchdb")["spec"]["selector"]["matchLabels"]
    (pod,) = [each for each in pods(objects) if each.is_selected_by(labels)]
    assert pod.name == "StatefulSet/couchdb"
    (couchdb,) = [each for each in containers(objects, init=False) if each.name == "couchdb"]
    ports = {each["name"]: each["containerPort"] for each in couchdb.spec["ports"]}
    assert endpoint(overlay)["path"] == PATH
    policy = find(objects, "NetworkPolicy/couchdb-metrics")["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    (rule,) = policy["ingress"]
    assert [port["port"] for port in rule["ports"]] == [ports[endpoint(overlay)["port"]]]


@each_overlay
def test_only_prometheus_in_the_namespace_monitoring_is_let_in(overlay: Path) -> None:
    objects = with_components(overlay, "couchdb-metrics")
    policy = find(objects, "NetworkPolicy/couchdb-metrics")["spec"]
    (rule,) = policy["ingress"]
    (peer,) = rule["from"]
    assert peer == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
    }
    assert policy["policyTypes"] == ["Ingress"]


@each_overlay
def test_the_account_comes_from_the_secret_that_the_script_creates(overlay: Path) -> None:
    used = endpoint(overlay)["basicAuth"]
    assert {name: each["key"] for name, each in used.items()} == {
        "username": "username",
        "password": "password",
    }
    assert {each["name"] for each in used.values()} == {"couchdb-metrics"}


def test_the_commands_on_the_page_create_the_account_and_change_its_password(
    couchdb: CouchDBServer,
) -> None:
    if "express-pouchdb" in couchdb.ask("GET"):
        pytest.skip("this server is not Apache CouchDB")
    page = Page(ROOT / "docs" / "kubernetes.md")
    (text,) = (each.text for each in page.blocks if "_metrics" in each.text)
    program = text.split("python -c '")[1].rstrip().removesuffix("'")
    program = program.replace("http://couchdb:5984", couchdb.url)
    assert couchdb.url in program
    name = f"overmind-test-{uuid.uuid4().hex[:12]}"
    path = f"{couchdb.url}/_users/org.couchdb.user:{name}"
    admin = (couchdb.username, couchdb.password)
    try:
        for password in ("scrape", "another"):
            subprocess.run(
                [sys.executable, "-c", program],
                input=f"{couchdb.password}\n{name}\n{password}\n",
                text=True,
                timeout=DEADLINE,
                check=True,
            )
            user = json.loads(requests.get(path, auth=admin, timeout=DEADLINE).content)
            assert (user["name"], user["roles"]) == (name, ["_metrics"])
            account = (name, password)
            session = requests.get(f"{couchdb.url}/_session", auth=account, timeout=DEADLINE)
            assert session.json()["userCtx"]["name"] == name
    finally:
        revision = requests.get(path, auth=admin, timeout=DEADLINE).json().get("_rev", "")
        requests.delete(path, params={"rev": revision}, auth=admin, timeout=DEADLINE)
