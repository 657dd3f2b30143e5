"""The typed readers of the environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from overmind_project import env

NAME = "OVERMIND_TEST_VARIABLE"


def reading(reader: Callable[[str], object], value: str, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv(NAME, value)
    return reader(NAME)


def number(name: str) -> int:
    return env.number(name, 7, least=1, most=9)


def switch(name: str) -> bool:
    return env.boolean(name, default=True)


def store(name: str) -> str:
    return env.choice(name, ("a", "b"), "b")


def address(name: str) -> str:
    return env.listen_address(name, ":1")


@pytest.mark.parametrize(
    ("reader", "value", "result"),
    [
        (number, "", 7),
        (number, "9", 9),
        (switch, "", True),
        (switch, "Off", False),
        (switch, "1", True),
        (store, "", "b"),
        (store, "a", "a"),
        (address, "", "0.0.0.0:1"),
        (address, ":8080", "0.0.0.0:8080"),
        (address, "localhost:80", "localhost:80"),
        (address, "[::1]:80", "[::1]:80"),
        (env.base_url, "http://couchdb:5984", "http://couchdb:5984"),
        (env.base_url, "https://example.org/couch/", "https://example.org/couch"),
        (env.base_url, "http://[::1]:5984/", "http://[::1]:5984"),
    ],
)
def test_good_values(
    reader: Callable[[str], object], value: str, result: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reading(reader, value, monkeypatch) == result


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        (number, "0"),
        (number, "10"),
        (number, "1.5"),
        (number, "-1"),
        (number, "٣"),
        (number, "tcp://10.0.0.2:5984"),
        (number, "9" * 50),
        (switch, "maybe"),
        (store, "c"),
        (address, "8080"),
        (address, "host"),
        (address, ":0"),
        (address, ":99999"),
        (address, "a:b:1"),
        (address, "tcp://10.0.0.2:80"),
        (env.base_url, "couchdb:5984"),
        (env.base_url, "ftp://couchdb"),
        (env.base_url, "http://"),
        (env.base_url, "http://couchdb:port"),
        (env.base_url, "http://couchdb:99999"),
        (env.base_url, "http://couchdb/?a=b"),
        (env.base_url, "http://couchdb/#a"),
        (env.base_url, "http://couch db/"),
        (env.base_url, "http://[::1/"),
        (env.base_url, "http://a..b:5984"),
        (env.base_url, f"http://{'a' * 64}:5984"),
    ],
)
def test_a_bad_value_names_the_variable(
    reader: Callable[[str], object], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^{NAME}: ") as caught:
        reading(reader, value, monkeypatch)
    assert "\n" not in str(caught.value)


def test_a_url_with_an_account_is_refused_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ImproperlyConfigured, match="COUCHDB_USERNAME") as caught:
        reading(env.base_url, "http://admin:hunter2@couchdb:5984", monkeypatch)
    assert "hunter2" not in str(caught.value)


def test_a_secret_comes_from_its_variable_or_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert env.secret(NAME).read() == ""
    file = tmp_path / "secret"
    file.write_text("from-file\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(file))
    secret = env.secret(NAME)
    assert secret.read() == "from-file"
    file.write_text("changed")
    assert secret.read() == "changed"
    assert "changed" not in repr(secret)
    monkeypatch.setenv(NAME, "from-variable")
    with pytest.raises(ImproperlyConfigured, match="given twice"):
        env.secret(NAME)
    monkeypatch.delenv(f"{NAME}_FILE")
    assert env.secret(NAME).read() == "from-variable"


def test_a_secret_file_that_cannot_be_read_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "none"))
    with pytest.raises(ImproperlyConfigured, match=f"^{NAME}_FILE: "):
        env.secret(NAME)
