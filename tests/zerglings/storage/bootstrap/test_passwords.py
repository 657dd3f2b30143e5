"""Tests for comparing a password with the hash that CouchDB stores."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.site import Site
from tests.zerglings.storage.bootstrap.states import JSON
from zerglings.storage.bootstrap.passwords import admin_entry, password_matches


@pytest.mark.parametrize("iterations", [0, -1, 10**9, 1e30, "10", None])
def test_a_hash_with_invalid_iterations_matches_no_password(iterations: object) -> None:
    user = pbkdf2("sha256", "swarm") | {"iterations": iterations}
    assert password_matches(user, "swarm") is False


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
    """CouchDB 3.5 calls the combination of both schemes ``simple+pbkdf2``."""
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
