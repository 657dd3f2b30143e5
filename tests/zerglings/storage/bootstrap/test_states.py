"""Tests that bootstrap reaches ready from each state, and that a second run writes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault, Hang, Kind, ResetAfter, ResetBefore
from tests.support.peer import Peer
from tests.support.ready import ALL_OK, assert_ready, without_warnings
from tests.support.site import CouchDBServer, Site, new_site
from zerglings.storage.bootstrap import server as server_module
from zerglings.storage.bootstrap.passwords import admin_entry, password_matches
from zerglings.storage.bootstrap.plan import REVS_LIMIT
from zerglings.storage.bootstrap.runner import (
    BootstrapError,
    Misconfigured,
    Refused,
    Run,
    Status,
    TimedOut,
    find_drift,
)
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.store import ROLE, CouchDBStore, security_drift

HTML = {"Content-Type": "text/html"}
JSON = {"Content-Type": "application/json"}


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


def account_only(site: Site) -> None:
    user = {"name": site.username, "type": "user", "roles": [], "password": site.password}
    site.server.ask("PUT", "_users", f"org.couchdb.user:{site.username}", body=user)


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
    """CouchDB refuses an account with rivals, which runs through several nodes can leave."""
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


@pytest.mark.parametrize("iterations", [0, -1, 10**9, 1e30, "10", None])
def test_a_hash_with_invalid_iterations_matches_no_password(iterations: object) -> None:
    user = pbkdf2("sha256", "swarm") | {"iterations": iterations}
    assert password_matches(user, "swarm") is False


ODD: list[bytes] = [b"[]", b"null", b'"x"', b"{}", b'{"roles":null}', b"7", b'{"ok":true}']


@pytest.mark.parametrize("body", ODD)
def test_malformed_responses_end_in_a_bootstrap_error(
    site: Site, proxy: FaultProxy, body: bytes
) -> None:
    """At each path in turn, the first time it is asked for."""
    site.bootstrap()
    paths = list(dict.fromkeys(request_paths(site)))
    assert len(paths) > 6
    for path in paths:
        proxy.fault = Fault(Answer(200, body, JSON), asks_for(path))
        with contextlib.suppress(BootstrapError):
            site.through(proxy.url).bootstrap(timeout=0.2)


def asks_for(path: str) -> Callable[[str, str], bool]:
    """Return what matches requests for a path, whatever their query."""
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
        assert site.server.ask("GET", name, "_revs_limit") == REVS_LIMIT
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


# --- a server that is not itself


PASSING: dict[str, Kind] = {
    "503 HTML": Answer(503, b"<html>starting", HTML),
    "502 HTML": Answer(502, b"<html>bad gateway", HTML),
    "404 HTML": Answer(404, b"<html>", HTML),
    "404 seeding": Answer(404, b'{"status":"seeding","seeds":{}}', JSON),
    "500 conflict": Answer(500, b'{"error":"conflict","reason":"x"}', JSON),
    "409 conflict": Answer(409, b'{"error":"conflict","reason":"Document update conflict."}', JSON),
    "reset": ResetBefore(),
    "reset after it was carried out": ResetAfter(),
    "locked": Answer(403, b'{"error":"forbidden","reason":"Account is temporarily locked"}', JSON),
}


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, "GET") for name in PASSING]
    + [(name, "PUT") for name in PASSING if name != "409 conflict"],
)
def test_a_transient_failure_of_any_request_is_waited_for(
    site: Site, proxy: FaultProxy, name: str, method: str
) -> None:
    """Each request fails once before it is answered, whatever step it belongs to."""
    failed: set[tuple[str, str]] = set()

    def first_time(seen_method: str, path: str) -> bool:
        is_new = (seen_method, path) not in failed and seen_method == method
        failed.add((seen_method, path))
        return is_new and "_local" not in path

    proxy.fault = Fault(PASSING[name], first_time)
    lines = site.through(proxy.url).bootstrap()
    assert any(" waiting " in line for line in lines)
    assert_ready(site)


def test_a_hanging_server_ends_in_a_timeout(site: Site, proxy: FaultProxy) -> None:
    proxy.fault = Fault(Hang(threading.Event()))
    with pytest.raises(TimedOut, match="no answer in time"):
        site.through(proxy.url).bootstrap(timeout=1)


def test_a_request_that_hangs_is_repeated(
    site: Site, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "CALL_TIMEOUT", 0.5)
    proxy.fault = Fault(Hang(threading.Event(), forward=True), lambda m, p: m == "PUT", times=3)
    lines = site.through(proxy.url).bootstrap()
    assert any("waiting no answer in time" in line for line in lines)
    assert_ready(site)


def test_a_server_that_starts_later_is_waited_for(site: Site, proxy: FaultProxy) -> None:
    proxy.down()
    coming = threading.Timer(1.5, proxy.up)
    coming.start()
    lines = site.through(proxy.url).bootstrap()
    coming.join()
    assert lines[:2] == ["wait waiting connection refused", "wait ok ok"]


def test_a_name_that_does_not_resolve_is_waited_for(site: Site) -> None:
    lost = site.through("http://couchdb.invalid:5984")
    with pytest.raises(TimedOut, match="its name does not resolve"):
        lost.bootstrap(timeout=0.5)


def test_another_service_on_the_port_is_not_taken_for_couchdb(
    site: Site, proxy: FaultProxy
) -> None:
    for body in (b'{"hello":"world"}', b"[]", b"hello"):
        proxy.fault = Fault(Answer(200, body, JSON))
        with pytest.raises(TimedOut, match=r"not CouchDB|not JSON"):
            site.through(proxy.url).bootstrap(timeout=0.3)


# --- accounts that are not accepted


def test_a_wrong_admin_password_is_tried_once(site: Site, proxy: FaultProxy) -> None:
    # A name that nobody has cannot be locked for the other tests.
    admin = site.account(f"{site.username}-admin", "wrong", "COUCHDB_ADMIN_PASSWORD")
    with pytest.raises(Refused, match="COUCHDB_ADMIN_USERNAME and COUCHDB_ADMIN_PASSWORD"):
        site.through(proxy.url).bootstrap(admin=admin)
    assert [request.status for request in proxy.requests].count(401) == 1


def test_an_account_without_admin_rights_is_refused(site: Site) -> None:
    site.bootstrap()
    account = site.account(site.username, site.password)
    with pytest.raises(Refused, match="not a server admin"):
        site.bootstrap(admin=account, service=account)


def test_a_wrong_service_password_without_an_admin_is_tried_once(
    site: Site, proxy: FaultProxy
) -> None:
    site.bootstrap()
    account = site.account(site.username, "wrong")
    with pytest.raises(Refused, match="COUCHDB_USERNAME and COUCHDB_PASSWORD"):
        site.through(proxy.url).bootstrap(admin=account, service=account)
    assert [request.status for request in proxy.requests].count(401) == 1


def test_a_check_reports_a_different_password_without_trying_it(
    site: Site, proxy: FaultProxy
) -> None:
    site.bootstrap()
    plan = site.through(proxy.url).plan(service=site.account(site.username, "wrong"))
    lines: list[str] = []
    assert find_drift(plan.steps(Run()), lambda step, status, _: lines.append(f"{step} {status}"))
    assert lines[3] == "user drift"
    assert lines[-1] == "verify skipped"
    assert {request.method for request in proxy.requests} == {"GET"}
    assert 401 not in [request.status for request in proxy.requests]


def test_a_locked_account_is_waited_for_until_the_timeout(site: Site, proxy: FaultProxy) -> None:
    proxy.fault = Fault(PASSING["locked"], lambda m, p: p.startswith("/_session"))
    with pytest.raises(TimedOut, match="locked the account"):
        site.through(proxy.url).bootstrap(timeout=0.5)


REFUSALS = {
    "unknown": Answer(401, b'{"error":"unauthorized","reason":"Name or password"}', JSON),
    "iterations": Answer(403, b'{"error":"forbidden","reason":"Iteration count is too low"}', JSON),
    "scheme": Answer(500, b'{"error":"case_clause","reason":"simple+pbkdf2"}', JSON),
}


def refusing(site: Site, answer: Answer, times: int) -> Fault:
    """Give the service's account this answer when it reads its database."""
    read = ("GET", f"/{site.database}")
    return Fault(answer, lambda *request: request == read, times, site.username)


def statuses(proxy: FaultProxy, status: int) -> int:
    return [request.status for request in proxy.requests].count(status)


@pytest.mark.parametrize("why", REFUSALS)
def test_a_valid_password_that_is_refused_once_is_tried_again(
    site: Site, proxy: FaultProxy, why: str
) -> None:
    site.bootstrap()
    proxy.fault = refusing(site, REFUSALS[why], times=1)
    assert "waiting" in site.through(proxy.url).bootstrap()[-2]
    assert {request.method for request in proxy.requests} == {"GET"}


@pytest.mark.parametrize("why", REFUSALS)
def test_a_valid_password_that_is_refused_twice_is_written_again(
    site: Site, proxy: FaultProxy, why: str
) -> None:
    site.bootstrap()
    before = site.user()
    proxy.fault = refusing(site, REFUSALS[why], times=2)
    lines = site.through(proxy.url).bootstrap()
    assert f"verify changed updated the account {site.username!r}" in lines
    assert site.user()["salt"] != before["salt"]
    assert_ready(site)


@pytest.mark.parametrize("why", ["unknown", "iterations"])
def test_a_rewritten_account_that_is_still_refused_ends_with_the_servers_reason(
    site: Site, proxy: FaultProxy, why: str
) -> None:
    site.bootstrap()
    answer = REFUSALS[why]
    proxy.fault = refusing(site, answer, times=100)
    with pytest.raises(Refused, match=json.loads(answer.body)["reason"]):
        site.through(proxy.url).bootstrap()
    assert statuses(proxy, answer.status) == 4, "five refusals lock an account"
    changes = [request for request in proxy.requests if request.method != "GET"]
    assert [request.path.split("?")[0].split("/")[1] for request in changes] == ["_users"]


def test_a_check_of_a_refused_hash_changes_nothing(site: Site, proxy: FaultProxy) -> None:
    site.bootstrap()
    proxy.fault = refusing(site, REFUSALS["iterations"], times=100)
    lines: list[str] = []
    steps = site.through(proxy.url).plan().steps(Run())
    assert find_drift(steps, lambda *said: lines.append(" ".join(said)))
    assert lines[-1].startswith("verify drift")
    assert "Iteration count is too low" in lines[-1]
    assert {request.method for request in proxy.requests} == {"GET"}


def test_a_hash_outside_the_servers_iteration_limits_is_replaced(site: Site) -> None:
    """On CouchDB itself, whose bounds a peer does not have."""
    site.bootstrap()
    user = site.user()
    if user.get("pbkdf2_prf") is None:
        pytest.skip("this server's hashes have no bounds, as those before CouchDB 3.4")
    key = hashlib.pbkdf2_hmac("sha256", site.password.encode(), b"another salt", 20).hex()
    user |= {"iterations": 20, "derived_key": key, "pbkdf2_prf": "sha256", "salt": "another salt"}
    site.server.ask("PUT", "_users", user["_id"], body=user)
    bound = ["_node", "_local", "_config", "chttpd_auth", "min_iterations"]
    site.server.ask("PUT", *bound, body="1000")
    try:
        lines = site.bootstrap()
    finally:
        site.server.ask("DELETE", *bound)
    assert f"verify changed updated the account {site.username!r}" in lines
    assert site.user()["iterations"] >= 1000
    assert_ready(site)


def test_a_service_account_without_a_password_is_misconfigured(site: Site) -> None:
    with pytest.raises(Misconfigured, match=r"^COUCHDB_PASSWORD: not given"):
        site.bootstrap(service=site.account(site.username, ""))


def test_an_open_server_cannot_be_closed_without_a_password(party: Peer) -> None:
    with (
        new_site(CouchDBServer(party.url, "admin", "")) as site,
        pytest.raises(Misconfigured, match=r"^COUCHDB_ADMIN_PASSWORD: not given"),
    ):
        site.bootstrap()


# --- clusters


def test_a_check_of_an_open_server_stops_at_the_missing_admin(party: Peer) -> None:
    with new_site(CouchDBServer(party.url, "admin", "relax")) as site:
        lines: list[str] = []

        def report(step: str, status: Status, message: str) -> None:
            lines.append(f"{step} {status}")

        assert find_drift(site.plan().steps(Run()), report)
        assert lines[:3] == ["wait ok", "admin drift", "cluster skipped"]
        assert requests.get(party.url, timeout=5).status_code == 200
        site.bootstrap()  # so that there is an admin to clean up with


def test_one_account_with_two_passwords_is_misconfigured(site: Site) -> None:
    other = site.account(site.server.username, "other")
    with pytest.raises(
        Misconfigured, match=r"^COUCHDB_ADMIN_PASSWORD: differs from COUCHDB_PASSWORD"
    ):
        site.bootstrap(service=other)


@pytest.mark.parametrize("status", ["maintenance_mode", "nolb"])
def test_a_node_in_maintenance_is_waited_for(site: Site, proxy: FaultProxy, status: str) -> None:
    body = json.dumps({"status": status}).encode()
    proxy.fault = Fault(Answer(404, body, JSON), lambda m, p: p == "/_up")
    with pytest.raises(TimedOut, match=rf"404 \(node {status}\)"):
        site.through(proxy.url).bootstrap(timeout=0.2)


def test_a_finished_cluster_ignores_the_configured_number_of_nodes(site: Site) -> None:
    assert "cluster ok ok" in site.bootstrap(nodes=3)


def cluster_of(nodes: int, connected: int | None = None) -> Answer:
    names = [f"couchdb@{n}" for n in range(nodes)]
    membership = {"all_nodes": names[:connected], "cluster_nodes": names}
    return Answer(200, json.dumps(membership).encode(), JSON)


NO_DATABASE = Answer(404, b'{"error":"not_found","reason":"Database does not exist."}', JSON)


def without_system_databases(proxy: FaultProxy, membership: Kind) -> list[Fault]:
    """Show an unfinished cluster of these nodes until the first write."""

    def is_unfinished() -> bool:
        return {request.method for request in proxy.requests} <= {"GET"}

    def is_system_database(method: str, path: str) -> bool:
        return method == "GET" and path in ("/_users", "/_replicator") and is_unfinished()

    return [
        Fault(NO_DATABASE, is_system_database),
        Fault(membership, lambda _, path: path == "/_membership" and is_unfinished()),
    ]


@pytest.mark.parametrize("membership", [cluster_of(2), cluster_of(3, connected=2)])
def test_missing_nodes_are_waited_for_before_any_write(
    site: Site, proxy: FaultProxy, membership: Answer
) -> None:
    proxy.faults = without_system_databases(proxy, membership)
    with pytest.raises(TimedOut, match="2 of 3 nodes have joined"):
        site.through(proxy.url).bootstrap(nodes=3, timeout=0.5)
    assert {request.method for request in proxy.requests} == {"GET"}


def test_a_cluster_with_all_nodes_is_finished(site: Site, proxy: FaultProxy) -> None:
    finished = Answer(201, b'{"ok":true}', JSON)
    proxy.faults = [
        *without_system_databases(proxy, cluster_of(3)),
        Fault(finished, lambda m, p: p == "/_cluster_setup"),
    ]
    lines = site.through(proxy.url).bootstrap(nodes=3)
    assert "cluster changed finished the cluster of 3 nodes" in lines
    assert [r.method for r in proxy.requests if r.path == "/_cluster_setup"] == ["POST"]


def test_the_root_url_is_requested_before_the_cluster_is_finished(
    site: Site, proxy: FaultProxy
) -> None:
    """CouchDB 3.0 to 3.1.0 refuse before that."""
    refusal = Answer(500, b'{"error":"error","reason":"no uuid"}', JSON)

    asked: list[str] = []

    def is_early(_: str, path: str) -> bool:
        asked.append(path)
        return path == "/_cluster_setup" and "/" not in asked

    proxy.faults = [
        Fault(refusal, is_early),
        *without_system_databases(proxy, cluster_of(3)),
        Fault(Answer(201, b'{"ok":true}', JSON), lambda m, p: p == "/_cluster_setup"),
    ]
    lines = site.through(proxy.url).bootstrap(nodes=3)
    assert not [line for line in lines if line.startswith("cluster waiting")]
    assert "cluster changed finished the cluster of 3 nodes" in lines


def test_a_cluster_configured_as_a_single_node_is_misconfigured(
    site: Site, proxy: FaultProxy
) -> None:
    proxy.faults = without_system_databases(proxy, cluster_of(3))
    with pytest.raises(Misconfigured, match=r"^COUCHDB_CLUSTER_NODES: is 1, but"):
        site.through(proxy.url).bootstrap()
    assert {request.method for request in proxy.requests} == {"GET"}


def test_a_single_node_gets_its_system_databases(site: Site, proxy: FaultProxy) -> None:
    proxy.faults = without_system_databases(proxy, cluster_of(1))
    lines = site.through(proxy.url).bootstrap()
    assert "cluster changed created the system databases" in lines
    assert_ready(site)


# --- retiring


def test_a_retired_account_is_removed(site: Site) -> None:
    site.bootstrap()
    old = site.username
    new = Site(site.server, site.database, f"{old}-2", "new")
    new.bootstrap()
    assert site.user(), "the old account stays until it is retired"
    assert f"retire changed removed the account {old!r}" in new.bootstrap(retired=old)
    *_, warning, last = new.bootstrap(retired=old)
    assert warning.startswith(f"retire warning there is no account {old!r}")
    assert last == "retire ok ok"
    assert_ready(new)
    new.remove()


@pytest.mark.parametrize("which", ["service", "admin"])
def test_an_account_in_use_is_not_retired(site: Site, proxy: FaultProxy, which: str) -> None:
    name = site.username if which == "service" else site.server.username
    with pytest.raises(Misconfigured, match="in use"):
        site.through(proxy.url).bootstrap(retired=name)
    assert proxy.requests == [], "that is seen before anything is done"


def test_an_account_of_another_service_is_not_retired(site: Site) -> None:
    stranger = Site(site.server, site.database, f"{site.username}-stranger")
    account_only(stranger)
    with pytest.raises(Misconfigured, match="not an account of this service"):
        site.bootstrap(retired=stranger.username)
    assert stranger.user()
    stranger.remove()


# --- passwords as CouchDB keeps them


def pbkdf2(prf: str | None, password: str) -> dict[str, Any]:
    digest = "sha1" if prf in (None, "sha") else prf
    size = hashlib.new(digest).digest_size
    key = hashlib.pbkdf2_hmac(digest, password.encode(), b"salt", 10, size)
    user = {"password_scheme": "pbkdf2", "salt": "salt", "iterations": 10, "derived_key": key.hex()}
    return user | ({"pbkdf2_prf": prf} if prf else {})


@pytest.mark.parametrize("prf", [None, "sha", "sha224", "sha256", "sha384", "sha512"])
def test_a_stored_password_is_recognised(prf: str | None) -> None:
    assert password_matches(pbkdf2(prf, "pä"), "pä") is True
    assert password_matches(pbkdf2(prf, "pä"), "pa") is False


@pytest.mark.parametrize(
    ("version", "start"),
    [
        ("3.4.3", "-pbkdf2:sha256-"),
        ("4.0.0", "-pbkdf2:sha256-"),
        ("3.10.1", "-pbkdf2:sha256-"),
        ("3.3.3", "-pbkdf2-"),
        ("2.3.1", "-pbkdf2-"),
        ("", "-pbkdf2-"),
    ],
)
def test_an_admin_entry_has_the_format_of_the_server_version(version: str, start: str) -> None:
    entry = admin_entry("pä", version)
    assert entry.startswith(start)
    key, salt, iterations = entry.removeprefix(start).split(",")
    stored = {"derived_key": key, "salt": salt, "iterations": int(iterations)}
    prf = "sha256" if "sha256" in start else "sha"
    assert password_matches({"password_scheme": "pbkdf2", "pbkdf2_prf": prf, **stored}, "pä")


def test_a_password_in_the_simple_scheme_is_recognised() -> None:
    user = {"salt": "salt", "password_sha": hashlib.sha1(b"secretsalt").hexdigest()}
    assert password_matches(user, "secret") is True
    assert password_matches(user, "other") is False


def test_a_password_in_the_simple_pbkdf2_scheme_is_recognised() -> None:
    """CouchDB 3.5 knows the two schemes one after the other as ``simple+pbkdf2``."""
    simple = hashlib.sha1(b"secretsalt").hexdigest()
    user = pbkdf2("sha256", simple) | {"password_scheme": "simple+pbkdf2"}
    assert password_matches(user, "secret") is True
    assert password_matches(user, "other") is False
    assert password_matches(user, simple) is False


@pytest.mark.parametrize(
    "user", [{}, {"password_scheme": "argon2"}, pbkdf2("sha", "a") | {"pbkdf2_prf": "x"}]
)
def test_an_unknown_password_scheme_is_not_compared(user: dict[str, Any]) -> None:
    assert password_matches(user, "a") is None


def test_an_unknown_password_scheme_is_a_warning(site: Site, proxy: FaultProxy) -> None:
    site.bootstrap()
    path = f"/_users/org.couchdb.user%3A{site.username}?conflicts=true"
    body = b'{"_id":"x","_rev":"1-a","roles":["overmind"],"password_scheme":"argon2"}'
    proxy.fault = Fault(Answer(200, body, JSON), lambda m, p: p == path)
    lines = site.through(proxy.url).bootstrap()
    assert "user warning cannot compare a password of the scheme 'argon2'" in lines


def test_a_check_reports_each_drift(site: Site) -> None:
    lines: list[str] = []

    def report(step: str, status: Status, message: str) -> None:
        lines.append(f"{step} {status}: {message}")

    assert find_drift(site.plan().steps(Run()), report)
    assert [line.split(":")[0] for line in lines] == [
        "wait ok",
        "admin ok",
        "cluster ok",
        "user drift",
        "database drift",
        "security drift",
        "copies ok",
        "verify skipped",
    ]
