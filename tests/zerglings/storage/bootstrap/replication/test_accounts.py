"""Tests for the account of the peers: its password, its purpose, and who may write documents."""

from __future__ import annotations

import pytest

from tests.support.cluster import says
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault
from tests.support.manage import python
from tests.support.site import Site
from tests.zerglings.storage.bootstrap.replication.region import NOWHERE, PASSWORD, Region
from tests.zerglings.storage.bootstrap.replication.reports import jobs
from zerglings.management.commands.bootstrap_couch import DRIFTED
from zerglings.storage.bootstrap.accounts import user_id
from zerglings.storage.bootstrap.runner import Misconfigured, Refused, Run
from zerglings.storage.couchdb.store import ROLE
from zerglings.storage.regions.replications import Peers


def test_the_password_of_the_peers_is_in_no_output(region: Region, proxy: FaultProxy) -> None:
    environment = region.through(proxy.url).site.environment | {
        "COUCHDB_PEERS": f"east={NOWHERE}",
        "COUCHDB_PEERS_USERNAME": region.username,
        "COUCHDB_PEERS_PASSWORD": "hunter2",
    }
    refusal = says({"error": "forbidden", "reason": "hunter2 is no password"}, 400)
    outputs = []
    for fault, options in (
        (Fault(refusal, lambda method, path: method == "PUT" and "_replicator" in path), []),
        (None, []),
        (jobs((region.id("east"), "crashing", "hunter2: no")), ["--check", "--format", "json"]),
    ):
        proxy.fault = fault
        done = python("manage.py", "bootstrap_couch", *options, **environment)
        assert region.id("east") in done.stdout + done.stderr
        outputs.append(done.stdout + done.stderr)
    assert "hunter2" not in "".join(outputs)
    assert done.returncode == DRIFTED


@pytest.mark.parametrize("which", ["service", "admin"])
def test_the_account_of_the_peers_is_used_for_nothing_else(site: Site, which: str) -> None:
    name = site.username if which == "service" else site.server.username
    peers = Peers(
        "north", {"east": NOWHERE}, site.account(name, PASSWORD, "COUCHDB_PEERS_PASSWORD")
    )
    with pytest.raises(Misconfigured, match=r"^COUCHDB_PEERS_USERNAME: "):
        site.bootstrap(peers=peers)


def test_the_account_of_the_peers_is_not_retired_while_there_are_peers(region: Region) -> None:
    with pytest.raises(Misconfigured, match="in use"):
        region.site.bootstrap(peers=region.peers(east=NOWHERE), retired=region.username)
    region.bootstrap(east=NOWHERE)
    lines = region.site.bootstrap(retired=region.username)
    assert f"retire changed removed the account {region.username!r}" in lines


def test_an_account_of_the_peers_without_a_password_is_misconfigured(region: Region) -> None:
    with pytest.raises(Misconfigured, match=r"^COUCHDB_PEERS_PASSWORD: not given"):
        region.bootstrap(east=NOWHERE, password="")


def test_a_service_that_uses_the_admins_account_replicates_too(region: Region) -> None:
    server = region.site.server
    account = region.site.account(server.username, server.password)
    peers = region.peers(east=NOWHERE)
    for _ in range(2):
        lines = region.site.bootstrap(admin=account, service=account, peers=peers)
    assert "replicate ok ok" in lines
    assert len(region.documents) == 2
    assert server.ask("GET", "_users", user_id(region.username))["roles"] == [ROLE]


def test_replication_without_a_server_admin_says_what_is_missing(
    region: Region, proxy: FaultProxy
) -> None:
    region.site.bootstrap()
    account = region.site.account(region.site.username, region.site.password)
    forbidden = {"error": "forbidden", "reason": "You are not allowed to access this db."}
    proxy.faults = [Fault(says(forbidden, 403), lambda _, path: path.startswith("/_replicator"))]
    site = region.through(proxy.url).site
    plan = site.plan(admin=account, service=account, peers=region.peers(east=NOWHERE))
    (step,) = [step for step in plan.steps(Run()) if step.name == "replicate"]
    with pytest.raises(Refused, match="COUCHDB_ADMIN_USERNAME"):
        step.drift()
