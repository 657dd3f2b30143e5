"""Tests with a store that is moved or replaced, or whose certificate or account changes."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from tests.proof.faults.insight import Insight
from tests.support.backends import Backend
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.service import Service
from tests.support.site import CouchDBServer, Site
from tests.support.waiting import wait_until
from zerglings.hive.write_batch import IDENTITY_TRUSTED_FOR

SOONEST = 3.0
"""Seconds after the store's recovery in which the service has recovered."""

LATEST_ANSWER = 5.0
NAME = "couchdb.test"
LOCKED = Answer(
    403,
    b'{"error":"forbidden","reason":"Account is temporarily locked due to multiple failures"}',
    {"Content-Type": "application/json"},
)


@pytest.fixture
def insight(tmp_path: Path) -> Insight:
    return Insight(tmp_path / "insight")


def refused(service: Service, why: str) -> None:
    """Assert that a command gets a timely 503 that says why and that nothing was changed."""
    began = time.monotonic()
    reply = service.call("POST", "/zerglings/")
    assert time.monotonic() - began < LATEST_ANSWER
    assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
    assert why in reply.json["error"]
    assert "nothing was changed" in reply.json["error"]
    began = time.monotonic()
    assert service.call("GET", "/healthz").status == 200
    assert time.monotonic() - began < 1


def why_not_ready(service: Service) -> str:
    """Return the reason in the log; the response does not reveal it."""
    assert service.call("GET", "/readyz").json["error"] == "Not ready: the store does not answer."
    return [line for line in service.log.splitlines() if "Not ready: " in line][-1]


def recovery(service: Service) -> float:
    """Return the seconds until a command succeeds."""
    began = time.monotonic()
    wait_until(lambda: service.call("POST", "/zerglings/").status == 201, "a spawn succeeds")
    return time.monotonic() - began


# Certificates


def server_side(
    authority: trustme.CA, name: str, *, until: datetime | None = None
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_after=until).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def encrypted(
    couchdb: CouchDBServer, couch: Backend, authority: trustme.CA, tmp_path: Path
) -> Iterator[tuple[Service, FaultProxy]]:
    """A service that trusts a private CA, and the proxy before its store."""
    file = tmp_path / "ca.crt"
    authority.cert_pem.write_to_path(str(file))
    tls = server_side(authority, "127.0.0.1")
    with FaultProxy(couchdb.host, couchdb.port, tls=tls) as proxy:
        environment = couch.through(proxy.url).environment | {"COUCHDB_CA_FILE": str(file)}
        with Service(environment, tmp_path) as service:
            yield service, proxy


def test_only_certificates_of_the_configured_ca_are_accepted(
    encrypted: tuple[Service, FaultProxy], authority: trustme.CA
) -> None:
    service, proxy = encrypted
    assert service.call("POST", "/zerglings/").status == 201
    stranger = trustme.CA()
    for bad in (
        server_side(stranger, "127.0.0.1"),
        server_side(authority, "couchdb.example"),
        server_side(authority, "127.0.0.1", until=datetime(2020, 1, 1, tzinfo=UTC)),
    ):
        proxy.tls = bad
        proxy.down()
        proxy.clear()
        proxy.up()
        refused(service, "The store does not answer")
        assert "its certificate is not valid" in why_not_ready(service)
        assert proxy.requests == [], "nothing is sent"
    proxy.tls = server_side(authority, "127.0.0.1")
    assert recovery(service) < SOONEST


def test_a_private_certificate_is_refused_without_its_ca(
    couchdb: CouchDBServer, couch: Backend, authority: trustme.CA, tmp_path: Path
) -> None:
    tls = server_side(authority, "127.0.0.1")
    with FaultProxy(couchdb.host, couchdb.port, tls=tls) as proxy:
        with Service(couch.through(proxy.url).environment, tmp_path) as service:
            refused(service, "The store does not answer")
        assert proxy.requests == []


def test_a_failed_tls_handshake_changes_nothing(
    encrypted: tuple[Service, FaultProxy],
) -> None:
    service, proxy = encrypted
    assert service.call("POST", "/zerglings/").status == 201
    good, proxy.tls = proxy.tls, None  # it speaks plain HTTP where TLS is expected
    proxy.down()
    proxy.up()
    refused(service, "The store does not answer")
    proxy.swallow()
    refused(service, "The store does not answer")
    proxy.down()
    proxy.tls = good
    proxy.up()
    assert recovery(service) < SOONEST


# Names


@pytest.fixture
def named(couch: Backend, proxy: FaultProxy, insight: Insight, tmp_path: Path) -> Iterator[Service]:
    """A service that uses its store by host name."""
    insight.resolve({NAME: "127.0.0.1"})
    environment = couch.through(f"http://{NAME}:{proxy.port}").environment
    with Service(environment | insight.environment, tmp_path) as service:
        yield service


def test_a_store_is_found_at_its_new_address(
    named: Service, proxy: FaultProxy, couchdb: CouchDBServer, insight: Insight
) -> None:
    assert named.call("POST", "/zerglings/").status == 201
    elsewhere = FaultProxy(couchdb.host, couchdb.port, address="127.0.0.2")
    elsewhere.port = proxy.port
    proxy.forsake()  # the old address is gone without a word, on the connections that are open too
    with elsewhere:
        insight.resolve({NAME: "127.0.0.2"})
        assert recovery(named) < SOONEST
        proxy.swallow()
        for _ in range(20):
            assert named.call("POST", "/zerglings/").status == 201
        assert len(elsewhere.requests) > 20


def test_hanging_name_servers_do_not_block_requests(
    named: Service, proxy: FaultProxy, insight: Insight
) -> None:
    assert named.call("POST", "/zerglings/").status == 201
    before = insight.greenlets(named)
    insight.resolve({NAME: "hang"})
    proxy.down()
    proxy.up()
    for _ in range(5):
        refused(named, "The store does not answer")
    insight.resolve({NAME: "127.0.0.1"})
    assert recovery(named) < SOONEST
    # Each thread of a look-up has a greenlet for a while.
    wait_until(lambda: insight.greenlets(named) <= before + 2, "the look-ups have ended", 10)


def test_a_host_name_is_used_again_once_it_resolves(
    named: Service, proxy: FaultProxy, insight: Insight
) -> None:
    assert named.call("POST", "/zerglings/").status == 201
    insight.resolve({NAME: "couchdb.invalid"})
    proxy.down()
    proxy.up()
    refused(named, "The store does not answer")
    assert "its name does not resolve" in why_not_ready(named)
    insight.resolve({NAME: "127.0.0.1"})
    assert recovery(named) < SOONEST


# Accounts


def test_a_changed_password_is_refused_at_most_twice_before_the_new_one_is_used(
    site: Site, proxy: FaultProxy, tmp_path: Path
) -> None:
    site.bootstrap()
    file = tmp_path / "password"
    file.write_text(site.password)
    environment = site.through(proxy.url).service_environment
    del environment["COUCHDB_PASSWORD"]
    with Service(environment | {"COUCHDB_PASSWORD_FILE": str(file)}, tmp_path) as service:
        assert service.call("POST", "/zerglings/").status == 201
        changed = Site(site.server, site.database, site.username, "another")
        changed.bootstrap()
        proxy.clear()
        # CouchDB takes a moment.
        wait_until(
            lambda: service.call("POST", "/zerglings/").status != 201,
            "the old password is refused",
            10,
        )
        for _ in range(30):
            refused(service, "refuses the service's account")
        # Two, as the old one may be good again a second later; five lock the account.
        assert sum(request.status == 401 for request in proxy.requests) <= 2
        file.write_text(changed.password)
        assert recovery(service) < SOONEST
        assert sum(request.status == 401 for request in proxy.requests) <= 3


def test_a_locked_account_is_not_retried(couch: Backend, proxy: FaultProxy, tmp_path: Path) -> None:
    with Service(couch.through(proxy.url).environment, tmp_path) as service:
        assert service.call("POST", "/zerglings/").status == 201
        proxy.fault = Fault(LOCKED)
        proxy.clear()
        began = time.monotonic()
        for _ in range(30):
            refused(service, "The store does not answer")
            assert service.call("GET", "/_health").json["health"]["brain"] == "damaged"
        assert "has locked the account" in why_not_ready(service)
        assert len(proxy.requests) <= 1 + (time.monotonic() - began) / 10
        proxy.fault = None
        assert recovery(service) < 11, "the next try is ten seconds later"


# Databases


def test_zerglings_of_a_replaced_database_are_not_found(site: Site, tmp_path: Path) -> None:
    """No request saw the database missing, so the last revision is still cached."""
    site.bootstrap()
    with Service(site.service_environment, tmp_path) as service:
        short, long = (service.spawn() for _ in "ab")
        for _ in range(3):
            assert service.call("POST", f"/zerglings/{short}", "M").status == 200
        for _ in range(12):  # some of its history has moved out
            assert service.call("POST", f"/zerglings/{long}", "M" * 30).status == 200
        for name in site.databases:
            site.server.ask("DELETE", name)
        site.bootstrap()
        assert service.call("POST", "/zerglings/").status == 201
        time.sleep(IDENTITY_TRUSTED_FOR)  # so long the old one may be remembered
        for zergling in (short, long):
            for _ in range(2):
                assert service.call("POST", f"/zerglings/{zergling}", "M").status == 404
                assert service.call("GET", f"/zerglings/{zergling}").status == 404
        assert len(service.call("GET", "/zerglings/").json["zerglings"]) == 1


def test_a_recreated_database_is_used_after_an_outage(site: Site, tmp_path: Path) -> None:
    site.bootstrap()
    with Service(site.service_environment, tmp_path) as service:
        zerglings = [service.spawn() for _ in range(3)]
        for _ in range(120):  # some of its history has moved out, and its revision is remembered
            assert service.call("POST", f"/zerglings/{zerglings[0]}", "MM").status == 200
        for name in site.databases:
            site.server.ask("DELETE", name)
        refused(service, "not prepared yet")
        assert service.call("GET", f"/zerglings/{zerglings[0]}").status == 503
        site.bootstrap()
        assert recovery(service) < SOONEST
        for zergling in zerglings:
            assert service.call("POST", f"/zerglings/{zergling}", "M").status == 404
            assert service.call("GET", f"/zerglings/{zergling}").status == 404
        born = service.spawn()
        assert service.call("POST", f"/zerglings/{born}", "M").status == 200
