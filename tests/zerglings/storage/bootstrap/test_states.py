"""Tests that bootstrap reaches ready from each state, and that a second run writes nothing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.peer import Peer
from tests.support.ready import ALL_OK, assert_ready, without_warnings
from tests.support.site import CouchDBServer, Site, new_site
from tests.zerglings.storage.bootstrap.states import JSON, account_only
from zerglings.storage.bootstrap.database import REVS_LIMIT, REVS_LIMIT_ALONE
from zerglings.storage.bootstrap.runner import BootstrapError
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.store import ROLE, CouchDBStore, security_drift


def test_bootstrap_prepares_a_server_that_has_only_an_admin(site: Site) -> None:
    lines = without_warnings(site.bootstrap())
    assert [line.split(" ", 2)[:2] for line in lines if " changed " in line] == [
        ["user", "changed"],
        ["database", "changed"],
        ["security", "changed"],
        ["verify", "changed"],
    ]
    assert_ready(site)


def test_bootstrap_creates_the_admin_of_an_open_server(party: Peer) -> None:
    with new_site(CouchDBServer(party.url, "admin", "p/ä:s\"s'%")) as site:
        lines = site.bootstrap()
        assert "admin changed created the server admin 'admin'" in lines
        assert_ready(site)


def test_an_open_server_is_closed_when_service_and_admin_share_an_account(party: Peer) -> None:
    with new_site(CouchDBServer(party.url, "admin", "relax")) as site:
        account = site.account("admin", "relax")
        site.bootstrap(admin=account, service=account)
        again = site.bootstrap(admin=account, service=account)
        assert without_warnings(again) == ALL_OK
        for name in site.databases:
            assert security_drift(site.server.ask("GET", name, "_security")) is None
        assert requests.get(f"{party.url}/_config", timeout=5).status_code == 401


def public_database(site: Site) -> None:
    for name in site.databases:
        site.server.ask("PUT", name)
        site.server.ask("PUT", name, "_security", body={})


def other_password(site: Site) -> None:
    user: dict[str, object] = {"name": site.username, "type": "user", "password": "other"}
    user |= {"roles": ["extra"], "note": 7}
    site.server.ask("PUT", "_users", f"org.couchdb.user:{site.username}", body=user)


def extra_members(site: Site) -> None:
    site.server.ask("PUT", site.database)
    security = {
        "admins": {"names": ["ann"], "roles": ["ops"]},
        "members": {"names": ["bob"], "roles": ["readers"]},
        "cloudant": {"x": ["_reader"]},
    }
    site.server.ask("PUT", site.database, "_security", body=security)


def main_database_only(site: Site) -> None:
    site.server.ask("PUT", site.database)


@pytest.mark.parametrize(
    "state", [public_database, other_password, extra_members, main_database_only, account_only]
)
def test_bootstrap_completes_a_partly_prepared_server(
    site: Site, state: Callable[[Site], None]
) -> None:
    state(site)
    site.bootstrap()
    assert_ready(site)


def test_members_added_by_operators_are_kept(site: Site) -> None:
    extra_members(site)
    site.bootstrap()
    security = site.server.ask("GET", site.database, "_security")
    assert security["admins"] == {"names": ["ann"], "roles": ["ops"]}
    assert security["members"] == {"names": ["bob"], "roles": ["readers", ROLE]}
    assert security["cloudant"] == {"x": ["_reader"]}


def test_conflicting_revisions_of_the_account_are_removed(site: Site, proxy: FaultProxy) -> None:
    """CouchDB refuses an account with conflicts, which runs on several nodes can cause."""
    site.bootstrap()
    rivals = ["1-" + "0" * 32, "1-" + "1" * 32]
    found = json.dumps(site.user() | {"_conflicts": rivals}).encode()
    path = f"/_users/org.couchdb.user%3A{site.username}"
    look = f"{path}?conflicts=true"
    proxy.fault = Fault(Answer(200, found, JSON), lambda m, p: p == look, times=2)
    lines = site.through(proxy.url).bootstrap()
    assert "user changed removed rival revisions of the account: 2" in lines
    removed = [request.path for request in proxy.requests if request.method == "DELETE"]
    assert [p for p in removed if "_users" in p] == [f"{path}?rev={rival}" for rival in rivals]
    assert_ready(site)


def test_members_in_the_old_readers_format_are_kept(site: Site) -> None:
    site.server.ask("PUT", site.database)
    body = {"readers": {"names": ["bob"], "roles": []}}
    site.server.ask("PUT", site.database, "_security", body=body)
    site.bootstrap()
    security = site.server.ask("GET", site.database, "_security")
    assert security["members"] == {"names": ["bob"], "roles": [ROLE]}


@pytest.mark.parametrize(
    "security",
    [
        *({}, {"members": None}, {"members": []}, {"members": {"names": None, "roles": None}}),
        *({"members": {"names": "x"}}, {"members": {"roles": {}}}, {"readers": 7}),
    ],
)
def test_a_security_object_without_members_is_open_in_any_shape(security: dict[str, Any]) -> None:
    assert security_drift(security) == "is open to everybody"


ODD: list[bytes] = [b"[]", b"null", b'"x"', b"{}", b'{"roles":null}', b"7", b'{"ok":true}']


@pytest.mark.parametrize("body", ODD)
def test_malformed_responses_end_in_a_bootstrap_error(
    site: Site, proxy: FaultProxy, body: bytes
) -> None:
    """Each path in turn gets the response."""
    site.bootstrap()
    paths = list(dict.fromkeys(request_paths(site)))
    assert len(paths) > 6
    for path in paths:
        proxy.fault = Fault(Answer(200, body, JSON), asks_for(path))
        with contextlib.suppress(BootstrapError):
            site.through(proxy.url).bootstrap(timeout=0.2)


def asks_for(path: str) -> Callable[[str, str], bool]:
    """Return a matcher of requests for a path with any query."""
    wanted = path.partition("?")[0]
    return lambda _method, asked: asked.partition("?")[0] == wanted


def request_paths(site: Site) -> list[str]:
    with FaultProxy(site.server.host, site.server.port) as proxy:
        site.through(proxy.url).bootstrap(writes=True)
        return [r.path for r in proxy.requests if "_local" not in r.path]


def test_roles_and_fields_added_to_the_account_are_kept(site: Site) -> None:
    other_password(site)
    site.bootstrap()
    user = site.user()
    assert set(user["roles"]) == {"extra", ROLE}
    assert user["note"] == 7


def test_existing_zerglings_are_kept(site: Site) -> None:
    public_database(site)
    site.server.ask("PUT", site.database, "a-zergling", body={"x": 1})
    site.bootstrap()
    assert site.server.ask("GET", site.database, "a-zergling")["x"] == 1


def test_the_account_is_written_only_if_the_password_changed(site: Site) -> None:
    site.bootstrap()
    before = site.user()["_rev"]
    assert_ready(site)
    assert site.user()["_rev"] == before
    changed = site.account(site.username, "another")
    assert "user changed updated" in " ".join(site.bootstrap(service=changed))
    client = CouchDBClient(site.server.url, changed)
    CouchDBStore(client, site.database).check_ready(timeout=5)
    client.close()


def test_the_revs_limit_is_set_where_the_server_has_one(site: Site) -> None:
    lines = site.bootstrap()
    if any("this server has no _revs_limit" in line for line in lines):
        assert "database ok ok" in lines, "the peer has none, and that is only a warning"
        return
    for name in site.databases:
        assert site.server.ask("GET", name, "_revs_limit") in (REVS_LIMIT_ALONE, REVS_LIMIT)
    assert "database changed" in " ".join(site.bootstrap(revs_limit=20))
    assert site.server.ask("GET", site.database, "_revs_limit") == 20


def test_q_applies_to_new_databases_and_is_kept_for_existing_ones(site: Site) -> None:
    site.bootstrap(shards={"q": 3})
    cluster = site.server.ask("GET", site.database).get("cluster")
    lines = site.bootstrap(shards={"q": 4})
    if cluster:  # the peer has no shards
        assert cluster["q"] == 3
        assert [line for line in lines if "keeps its q of 3" in line]
        assert site.server.ask("GET", site.database)["cluster"]["q"] == 3


def outcomes(lines: list[str]) -> list[str]:
    """Return the step and the status of each line."""
    return [" ".join(line.split()[:2]) for line in lines]


def test_a_check_of_an_open_server_stops_at_the_missing_admin(party: Peer) -> None:
    with new_site(CouchDBServer(party.url, "admin", "relax")) as site:
        assert outcomes(site.check())[:3] == ["wait ok", "admin drift", "cluster skipped"]
        assert requests.get(party.url, timeout=5).status_code == 200
        site.bootstrap()  # so that there is an admin to clean up with


def test_a_check_reports_each_drift(site: Site) -> None:
    assert outcomes(site.check()) == [
        "wait ok",
        "admin ok",
        "cluster ok",
        "user drift",
        "database drift",
        "security drift",
        "copies ok",
        "replicate ok",
        "verify skipped",
    ]


@pytest.mark.parametrize(
    ("nodes", "chosen", "query"),
    [
        (1, {}, "q=1"),
        (1, {"q": 3}, "q=3"),
        (1, {"n": 1}, "q=1&n=1"),
        (3, {}, ""),
    ],
)
def test_new_databases_of_a_single_node_get_one_shard_unless_chosen(
    site: Site, proxy: FaultProxy, nodes: int, chosen: dict[str, int], query: str
) -> None:
    site.through(proxy.url).bootstrap(nodes=nodes, shards=chosen)
    created = [r.path.partition("?") for r in proxy.requests if r.method == "PUT"]
    assert {query for path, _, query in created if path[1:] in site.databases} == {query}
