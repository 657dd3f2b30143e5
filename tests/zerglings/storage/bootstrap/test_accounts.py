"""Tests for accounts that CouchDB refuses, for missing passwords and for retired accounts."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.peer import Peer
from tests.support.ready import assert_ready
from tests.support.site import CouchDBServer, Site, new_site
from tests.zerglings.storage.bootstrap.states import JSON, LOCKED, account_only
from zerglings.storage.bootstrap.plan import chosen
from zerglings.storage.bootstrap.runner import Misconfigured, Refused, Run, TimedOut, find_drift


def test_a_wrong_admin_password_is_tried_once(site: Site, proxy: FaultProxy) -> None:
    # A refused name that no account has cannot lock an account of other tests.
    admin = site.account(f"{site.username}-admin", "wrong", "COUCHDB_ADMIN_PASSWORD")
    with pytest.raises(Refused, match="COUCHDB_ADMIN_USERNAME and COUCHDB_ADMIN_PASSWORD"):
        site.through(proxy.url).bootstrap(admin=admin)
    assert [request.status for request in proxy.requests].count(401) == 1


def test_an_account_without_admin_rights_is_refused(site: Site) -> None:
    site.bootstrap()
    account = site.account(site.username, site.password)
    with pytest.raises(Refused, match="not a server admin"):
        site.bootstrap(admin=account, service=account)


def test_an_account_without_admin_rights_can_check_that_the_store_answers(site: Site) -> None:
    site.bootstrap()
    account = site.account(site.username, site.password)
    steps = chosen(site.plan(admin=account, service=account).steps(Run()), ["wait", "verify"])
    assert not find_drift(steps, lambda *_: None)


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
    lines = site.through(proxy.url).check(service=site.account(site.username, "wrong"))
    assert lines[3].startswith("user drift")
    assert lines[-1].startswith("verify skipped")
    assert {request.method for request in proxy.requests} == {"GET"}
    assert 401 not in [request.status for request in proxy.requests]


def test_a_locked_account_is_waited_for_until_the_timeout(site: Site, proxy: FaultProxy) -> None:
    proxy.fault = Fault(LOCKED, lambda m, p: p.startswith("/_session"))
    with pytest.raises(TimedOut, match="locked the account"):
        site.through(proxy.url).bootstrap(timeout=0.5)


REFUSALS = {
    "unknown": Answer(401, b'{"error":"unauthorized","reason":"Name or password"}', JSON),
    "iterations": Answer(403, b'{"error":"forbidden","reason":"Iteration count is too low"}', JSON),
    "scheme": Answer(500, b'{"error":"case_clause","reason":"simple+pbkdf2"}', JSON),
}


def refusing(site: Site, answer: Answer, times: int) -> Fault:
    """Return a fault that answers the service account's reads of its database."""
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
    lines = site.through(proxy.url).check()
    assert lines[-1].startswith("verify drift")
    assert "Iteration count is too low" in lines[-1]
    assert {request.method for request in proxy.requests} == {"GET"}


def test_a_hash_outside_the_servers_iteration_limits_is_replaced(site: Site) -> None:
    """This needs CouchDB: the peer has no limits."""
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


def test_one_account_with_two_passwords_is_misconfigured(site: Site) -> None:
    other = site.account(site.server.username, "other")
    with pytest.raises(
        Misconfigured, match=r"^COUCHDB_ADMIN_PASSWORD: differs from COUCHDB_PASSWORD"
    ):
        site.bootstrap(service=other)


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
    assert proxy.requests == [], "it is checked before the first request"


def test_an_account_of_another_service_is_not_retired(site: Site) -> None:
    stranger = Site(site.server, site.database, f"{site.username}-stranger")
    account_only(stranger)
    with pytest.raises(Misconfigured, match="not an account of this service"):
        site.bootstrap(retired=stranger.username)
    assert stranger.user()
    stranger.remove()
