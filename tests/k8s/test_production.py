"""Tests for the production overlay: its numbers and names have to agree."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from overmind_project.middleware.body import SWARM_LIMIT
from tests.k8s.components import with_components
from tests.k8s.render import render
from tests.support.service import ROOT
from zerglings.storage.bootstrap.copies import Copies

Object = dict[str, Any]

PRODUCTION = ROOT / "k8s/overlays/production"


@pytest.fixture(scope="module")
def objects() -> dict[str, Object]:
    found = render(PRODUCTION)
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in found}


def variables(container: Object) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container.get("env", [])}


def pod(objects: dict[str, Object], name: str) -> Object:
    spec: Object = objects[name]["spec"]["template"]["spec"]
    return spec


def mounted_settings(objects: dict[str, Object]) -> str:
    """Return the name of the ConfigMap from which CouchDB's nodes read their cluster."""
    (name,) = [
        each["configMap"]["name"]
        for each in pod(objects, "StatefulSet/couchdb")["volumes"]
        if each["name"] == "cluster"
    ]
    return str(name)


def test_a_changed_cluster_restarts_couchdb(objects: dict[str, Object]) -> None:
    literals = ["cluster.ini=[cluster]\nn = 2\n"]
    change = {"name": "couchdb-cluster", "behavior": "merge", "literals": literals}
    more = json.dumps({"configMapGenerator": [change]})
    changed = with_components(PRODUCTION, more=more)
    names = {f"{each['kind']}/{each['metadata']['name']}": each for each in changed}
    assert mounted_settings(names) != mounted_settings(objects)


def test_only_the_autoscaler_sets_the_number_of_replicas(objects: dict[str, Object]) -> None:
    assert "replicas" not in objects["Deployment/overmind"]["spec"]
    scaler = objects["HorizontalPodAutoscaler/overmind"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == "overmind"
    assert scaler["minReplicas"] >= 3


def test_the_number_of_couchdb_nodes_is_the_same_everywhere(
    objects: dict[str, Object],
) -> None:
    couchdb = objects["StatefulSet/couchdb"]["spec"]
    settings = objects[f"ConfigMap/{mounted_settings(objects)}"]["data"]["cluster.ini"]
    seeds = settings.split("seedlist = ")[1].strip().split(",")
    nodes = couchdb["replicas"]
    assert seeds == [f"couchdb@couchdb-{n}.{couchdb['serviceName']}" for n in range(nodes)]
    assert f"\nn = {nodes}\n" in settings
    bootstrap = variables(pod(objects, "Deployment/overmind")["initContainers"][0])
    assert bootstrap["COUCHDB_CLUSTER_NODES"] == str(nodes)


def test_node_names_are_stable_and_resolve_before_readiness(
    objects: dict[str, Object],
) -> None:
    couchdb = objects["StatefulSet/couchdb"]["spec"]
    container = couchdb["template"]["spec"]["containers"][0]
    assert variables(container)["NODENAME"] == f"$(POD_NAME).{couchdb['serviceName']}"
    peers = objects[f"Service/{couchdb['serviceName']}"]["spec"]
    assert (peers["clusterIP"], peers["publishNotReadyAddresses"]) == ("None", True)
    assert couchdb["podManagementPolicy"] == "Parallel"


def test_the_ingress_accepts_the_longest_body_of_a_bulk_call(
    objects: dict[str, Object],
) -> None:
    annotations = objects["Ingress/overmind"]["metadata"]["annotations"]
    size = annotations["nginx.ingress.kubernetes.io/proxy-body-size"]
    assert int(size.removesuffix("m")) * 1024 * 1024 >= SWARM_LIMIT


def test_the_allowed_hosts_are_those_of_the_ingress(objects: dict[str, Object]) -> None:
    ingress = objects["Ingress/overmind"]["spec"]
    hosts = [rule["host"] for rule in ingress["rules"]]
    assert [host for tls in ingress["tls"] for host in tls["hosts"]] == hosts
    web = pod(objects, "Deployment/overmind")["containers"][0]
    assert variables(web)["DJANGO_ALLOWED_HOSTS"] == ",".join(hosts)


def test_the_network_policies_allow_only_the_required_ports(
    objects: dict[str, Object],
) -> None:
    def ports(policy: str, direction: str) -> set[tuple[str, int]]:
        rules = objects[f"NetworkPolicy/{policy}"]["spec"][direction]
        return {(each["protocol"], each["port"]) for rule in rules for each in rule["ports"]}

    # The ports at which the pods of CoreDNS listen: in most clusters, on OpenShift, on Gardener.
    names = {(protocol, port) for protocol in ("UDP", "TCP") for port in (53, 5353, 8053)}
    assert ports("overmind", "ingress") == {("TCP", 8080)}
    assert ports("overmind", "egress") == {("TCP", 5984)} | names
    assert ports("couchdb", "ingress") == {("TCP", 5984), ("TCP", 4369), ("TCP", 9100)}
    assert ports("couchdb", "egress") == {("TCP", 4369), ("TCP", 9100)} | names


def run_init_container(objects: dict[str, Object], folder: Path, *, port: int = 9) -> None:
    """Run the init container with a folder as the pod's root; other nodes are at ``port``."""
    command = pod(objects, "StatefulSet/couchdb")["initContainers"][0]["command"]
    places = ("/opt/couchdb/etc", "/etc-copy", "/cluster", "/home-copy", "/couchdb-data")
    script = command[2].replace("/9100", f"/{port}")
    for place in places:
        (folder / place[1:]).mkdir(parents=True, exist_ok=True)
        script = script.replace(f"{place}/", f"{folder}{place}/")
    for name in ("default.d", "local.d"):
        (folder / "opt/couchdb/etc" / name).mkdir(exist_ok=True)
    seeds = "couchdb@couchdb-0.localhost,couchdb@localhost"
    (folder / "cluster/cluster.ini").write_text(f"[cluster]\nseedlist = {seeds}\n")
    environment = {"PATH": "/usr/bin:/bin", "COUCHDB_UUID": "u", "ERLANG_COOKIE": "c"}
    environment |= {"POD_NAME": "couchdb-0"}
    subprocess.run([*command[:2], script], env=environment, check=True)


def test_the_init_container_can_run_repeatedly(objects: dict[str, Object], tmp_path: Path) -> None:
    for _ in range(2):
        run_init_container(objects, tmp_path)
    assert (tmp_path / "home-copy/.erlang.cookie").read_text() == "c"
    assert (tmp_path / "etc-copy/default.d/30-uuid.ini").read_text() == "[couchdb]\nuuid = u\n"
    assert (tmp_path / "etc-copy/default.d/20-cluster.ini").exists()


@pytest.mark.parametrize("is_empty", [True, False])
def test_an_empty_node_beside_others_starts_in_maintenance(
    objects: dict[str, Object], tmp_path: Path, *, is_empty: bool
) -> None:
    if not is_empty:
        (tmp_path / "couchdb-data").mkdir()
        (tmp_path / "couchdb-data/_dbs.couch").touch()
    with socket.create_server(("127.0.0.1", 0)) as other_node:
        run_init_container(objects, tmp_path, port=other_node.getsockname()[1])
    settings = (tmp_path / "couchdb-data/node.ini").read_text()
    assert settings == ("[couchdb]\nmaintenance_mode = true\n" if is_empty else "")


def test_the_first_nodes_of_a_cluster_do_not_start_in_maintenance(
    objects: dict[str, Object], tmp_path: Path
) -> None:
    run_init_container(objects, tmp_path)
    assert (tmp_path / "couchdb-data/node.ini").read_text() == ""


def test_the_configuration_of_a_node_survives_its_pod(
    objects: dict[str, Object], tmp_path: Path
) -> None:
    """This includes the end of maintenance: a node that was filled is not filled again."""
    told = "[couchdb]\nmaintenance_mode = false\n"
    (tmp_path / "couchdb-data").mkdir()
    (tmp_path / "couchdb-data/_dbs.couch").touch()
    (tmp_path / "couchdb-data/node.ini").write_text(told)
    run_init_container(objects, tmp_path)
    assert (tmp_path / "couchdb-data/node.ini").read_text() == told
    mounts = pod(objects, "StatefulSet/couchdb")["containers"][0]["volumeMounts"]
    places = {mount["name"]: mount["mountPath"] for mount in mounts}
    link = (tmp_path / "etc-copy/local.d/zz-node.ini").readlink()
    assert link == Path(places["couchdb-data"]) / "node.ini"


def test_the_cron_job_runs_only_the_copies_step(
    objects: dict[str, Object],
) -> None:
    pod = objects["CronJob/couchdb-copies"]["spec"]["jobTemplate"]["spec"]["template"]
    assert pod["spec"]["containers"][0]["command"][-2:] == ["--only", Copies.name]
    # A sidecar would keep running when the job is done, and no other job would start.
    assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert pod["metadata"]["annotations"]["linkerd.io/inject"] == "disabled"
