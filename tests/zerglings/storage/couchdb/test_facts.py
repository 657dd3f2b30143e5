"""Tests for Apache CouchDB's own behaviour that docs/bootstrap.md describes."""

from __future__ import annotations

import hashlib
import re
import uuid

import pytest

from tests.support.apache import PASSWORD, Server
from tests.support.waiting import wait_until
from zerglings.storage.couchdb.copies import _names_in, beginning_of


@pytest.mark.parametrize(
    "revisions",
    [
        pytest.param({f"d{n}": [f"1-{n:032x}"] for n in range(101)}, id="101 documents"),
        pytest.param({"d": [f"1-{n:032x}" for n in range(1001)]}, id="1,001 revisions"),
    ],
)
def test_a_purge_has_limits_before_3_5_1(
    server: Server, database: str, revisions: dict[str, list[str]]
) -> None:
    status = server.ask("POST", f"{database}/_purge", json=revisions).status_code
    assert status in ((201, 202) if server.version >= (3, 5, 1) else (400,))


def test_the_role_metrics_reads_metrics_and_nothing_else(server: Server, database: str) -> None:
    name = f"overmind-test-{uuid.uuid4().hex[:12]}"
    user = {"type": "user", "name": name, "password": PASSWORD, "roles": ["_metrics"]}
    path = f"_users/org.couchdb.user:{name}"
    revision = server.ask("PUT", path, json=user).json()["rev"]
    members = {"members": {"names": [], "roles": ["overmind"]}}
    server.ask("PUT", f"{database}/_security", json=members).raise_for_status()

    def status(method: str, path: str) -> int:
        return server.ask(method, path, auth=(name, PASSWORD)).status_code

    try:
        assert status("GET", "_node/_local/_prometheus") == 200
        assert server.ask("GET", "_node/_local/_prometheus", auth=None).status_code == 401
        for other in ("_node/_local/_config", "_all_dbs", "_users/_all_docs", "_active_tasks"):
            assert status("GET", other) == 401, other
        assert status("GET", database) == 403
        assert status("PUT", f"{database}-of-metrics") == 401
    finally:
        server.ask("DELETE", path, params={"rev": revision})


def test_a_local_document_never_conflicts(server: Server, database: str) -> None:
    path = f"{database}/_local/a"
    for fields in ({}, {}, {"_rev": "0-1"}, {"_rev": "0-99"}):
        assert server.ask("PUT", path, json=fields | {"n": 1}).status_code == 201


def test_a_session_survives_one_change_of_the_secret_since_3_5_2(
    server: Server, account: str
) -> None:
    setting = "_node/_local/_config/chttpd_auth/secret"
    before = server.ask("GET", setting)
    signed_in = {"name": account, "password": PASSWORD}
    cookies = server.ask("POST", "_session", json=signed_in, auth=None).cookies

    def is_valid() -> bool:
        answer = server.ask("GET", "_session", cookies=cookies, auth=None)
        return bool(answer.json().get("userCtx", {}).get("name") == account)

    assert is_valid()
    try:
        server.ask("PUT", setting, json=uuid.uuid4().hex).raise_for_status()
        assert is_valid() is (server.version >= (3, 5, 2))
        server.ask("PUT", setting, json=uuid.uuid4().hex).raise_for_status()
        assert not is_valid()
    finally:
        if before.ok:
            server.ask("PUT", setting, json=before.json())
        else:
            server.ask("DELETE", setting)


def test_a_rehashed_password_keeps_its_salt_since_3_5(server: Server, account: str) -> None:
    if server.version < (3, 5):
        pytest.skip("this server does not hash passwords again unless it is told to")
    path = f"_users/org.couchdb.user:{account}"
    user = server.ask("GET", path).json()
    weaker = user | {"iterations": 10, "derived_key": derived_key(user["salt"], 10)}
    revision = server.ask("PUT", path, json=weaker).json()["rev"]

    def now() -> dict[str, object]:
        found: dict[str, object] = server.ask("GET", path).json()
        return found

    signed_in = server.ask("GET", "_session", auth=(account, PASSWORD)).json()
    assert signed_in["userCtx"]["name"] == account
    wait_until(lambda: now()["_rev"] != revision, "the password has been hashed again")
    assert now()["salt"] == user["salt"]
    assert now()["iterations"] != 10


def derived_key(salt: str, iterations: int) -> str:
    return hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt.encode(), iterations).hex()


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        ("0f" * 16, True),
        ("5fb0c7a2-1111-4222-8333-444455556666", True),
        ("walk_1", True),
        ("a" * 37, False),
        ("a.b", False),
    ],
)
def test_a_request_id_of_36_letters_digits_and_dashes_is_kept(
    server: Server, given: str, is_kept: bool
) -> None:
    answer = server.ask("GET", "", headers={"X-Couch-Request-ID": given})
    assert (answer.headers["X-Couch-Request-ID"] == given) is is_kept


def test_negative_zero_and_subnormal_numbers_are_not_always_kept(
    server: Server, database: str
) -> None:
    path = f"{database}/a"
    server.ask("PUT", path, data=b'{"zero":-0.0,"small":5e-324}').raise_for_status()
    found = server.ask("GET", path)
    assert re.search(r'"zero":0(\.0)?[,}]', found.text), "the sign is lost"
    assert found.json()["small"] == (5e-324 if server.version >= (3, 5, 2) else 0.0)


def test_an_account_is_locked_after_five_failed_sign_ins_since_3_4(
    server: Server, account: str
) -> None:
    mode = server.ask("GET", "_node/_local/_config/chttpd_auth_lockout/mode")
    if mode.ok and mode.json() != "enforce":
        pytest.skip("this server is configured not to lock accounts")

    def status(password: str) -> int:
        return server.ask("GET", "_session", auth=(account, password)).status_code

    assert [status("wrong") for _ in range(5)] == [401] * 5
    assert status(PASSWORD) == (403 if server.version >= (3, 4) else 200)


def test_a_changes_position_selects_the_copies_that_it_names(server: Server, database: str) -> None:
    """CouchDB documents it as opaque; `zerglings/storage/couchdb/copies.py` makes one."""
    documents = [{"_id": f"d{number}"} for number in range(30)]
    server.ask("POST", f"{database}/_bulk_docs", json={"docs": documents}).raise_for_status()
    shards = server.ask("GET", f"{database}/_shards").json()["shards"]
    since = beginning_of([(range_, nodes[0]) for range_, nodes in shards.items()])
    found = server.ask("GET", f"{database}/_changes?limit=1&since={since}").json()
    assert len(found["results"]) + found["pending"] == 30
    names = _names_in(found["last_seq"])
    assert all(nodes[0].encode() in names for nodes in shards.values())


def test_a_member_of_a_database_may_read_its_shards(
    server: Server, database: str, account: str
) -> None:
    security = {"members": {"names": [account]}}
    server.ask("PUT", f"{database}/_security", json=security).raise_for_status()
    asked = server.ask("GET", f"{database}/_shards", auth=(account, PASSWORD))
    assert asked.json()["shards"]
