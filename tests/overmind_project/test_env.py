"""Tests for the typed readers of environment variables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from overmind_project.env import Environment

NAME = "OVERMIND_TEST_VARIABLE"

Reader = Callable[[Environment], object]


def number(env: Environment) -> int:
    return env.number(NAME, 7, least=1, most=9)


def switch(env: Environment) -> bool:
    return env.boolean(NAME, default=True)


def store(env: Environment) -> str:
    return env.choice(NAME, ("a", "b"), "b")


def address(env: Environment) -> str:
    return env.listen_address(NAME, ":1")


def url(env: Environment) -> str:
    return env.base_url(NAME)


def peers(env: Environment) -> dict[str, str]:
    return env.peers(NAME)


def pattern(env: Environment) -> str:
    return env.matching(NAME, "[a-z]+", "a word", "word")


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
        (address, "", ":1"),
        (address, ":8080", ":8080"),
        (address, "0.0.0.0:8080", "0.0.0.0:8080"),
        (address, "localhost:80", "localhost:80"),
        (address, "[::1]:80", "[::1]:80"),
        (pattern, "", "word"),
        (pattern, "other", "other"),
        (url, "http://couchdb:5984", "http://couchdb:5984"),
        (url, "https://example.org/couch/", "https://example.org/couch"),
        (url, "http://[::1]:5984/", "http://[::1]:5984"),
        (peers, "", {}),
        (peers, "east=https://e:6984", {"east": "https://e:6984"}),
        (peers, "a-1=http://[::1]/x/, b=http://b", {"a-1": "http://[::1]/x", "b": "http://b"}),
    ],
)
def test_good_values(reader: Reader, value: str, result: object) -> None:
    env = Environment({NAME: value})
    assert reader(env) == result
    assert env.problems == []
    assert env.names == {NAME}
    env.raise_first()


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
        (pattern, "1"),
        (address, "8080"),
        (address, "host"),
        (address, ":0"),
        (address, ":99999"),
        (address, "a:b:1"),
        (address, "a..b:1"),
        (address, "[::::]:1"),
        (address, "::1:80"),
        (address, "tcp://10.0.0.2:80"),
        (url, "couchdb:5984"),
        (url, "ftp://couchdb"),
        (url, "http://"),
        (url, "http://couchdb:port"),
        (url, "http://couchdb:99999"),
        (url, "http://couchdb/?a=b"),
        (url, "http://couchdb/#a"),
        (url, "http://couch db/"),
        (url, "http://[::1/"),
        (url, "http://a..b:5984"),
        (url, f"http://{'a' * 64}:5984"),
        (peers, "east"),
        (peers, "https://east:6984"),
        (peers, "=http://e"),
        (peers, "East=http://e"),
        (peers, "e_1=http://e"),
        (peers, f"{'e' * 64}=http://e"),
        (peers, "east="),
        (peers, "east=e:5984"),
        (peers, "east=http://e/?a=b"),
        (peers, "east=http://e,east=http://f"),
        (peers, "east=http://e,west=http://e/"),
        (peers, "east=http://e,west"),
    ],
)
def test_a_bad_value_names_the_variable(reader: Reader, value: str) -> None:
    env = Environment({NAME: value})
    default = reader(Environment({}))
    assert reader(env) == default
    (problem,) = env.problems
    assert problem.variable == NAME
    assert problem.hint.startswith("Give ")
    with pytest.raises(ImproperlyConfigured, match=f"^{NAME}: ") as caught:
        env.raise_first()
    assert "\n" not in str(caught.value)


def test_all_problems_are_collected_and_the_first_is_raised() -> None:
    env = Environment({"A": "x", "B": "y"})
    env.number("A", 1, least=1, most=2)
    env.boolean("B", default=False)
    assert [problem.variable for problem in env.problems] == ["A", "B"]
    with pytest.raises(ImproperlyConfigured, match=r"^A: "):
        env.raise_first()


def test_a_url_with_credentials_is_rejected_without_repeating_it() -> None:
    env = Environment({NAME: "http://admin:hunter2@couchdb:5984"})
    env.base_url(NAME)
    (problem,) = env.problems
    assert "COUCHDB_USERNAME" in problem.sentence
    assert "hunter2" not in repr(problem)


@pytest.mark.parametrize(
    "value",
    [
        "east=http://admin:hunter2@couchdb:5984",
        "http://admin:hunter2@couchdb:5984",
        "admin:hunter2=http://couchdb:5984",
        "east=http://admin:hunter2",
        "east=http://admin:x,hunter2@couchdb:5984",
    ],
)
def test_a_list_of_peers_with_credentials_is_rejected_without_repeating_them(value: str) -> None:
    env = Environment({NAME: value})
    assert env.peers(NAME) == {}
    (problem,) = env.problems
    assert "COUCHDB_PEERS_USERNAME" in problem.hint
    assert "hunter2" not in repr(problem)


def test_a_value_that_is_not_utf_8_is_rejected() -> None:
    env = Environment({NAME: "a\udcff"})
    assert env.text(NAME, "b") == "b"
    assert str(env.problems[0]) == f"{NAME}: not UTF-8"


BARE = {
    "plain": "plain",
    "line\n": "line",
    "windows\r\n": "windows",
    "half\r": "half",
    "\ufeffmarked": "marked",
    "\ufeffboth\r\n": "both",
    "two\n\n": "two\n",
    "two\r\n\r\n": "two\r\n",
    "\nbefore": "\nbefore",
    "in\rside": "in\rside",
    " blanks \n": " blanks ",
    "\n": "",
    "\ufeff": "",
}


@pytest.mark.parametrize("given", BARE)
def test_a_final_line_end_and_a_byte_order_mark_are_removed(given: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(given.encode())
    assert Environment({NAME: given}).text(NAME) == BARE[given]
    assert Environment({NAME: given}).secret(NAME).read() == BARE[given]
    assert Environment({f"{NAME}_FILE": f"{file}\n"}).secret(NAME).read() == BARE[given]
    assert Environment({NAME: given}).given(NAME) is bool(BARE[given])


@pytest.mark.parametrize(
    ("reader", "value", "result"),
    [
        (number, "9", 9),
        (switch, "off", False),
        (store, "a", "a"),
        (address, "localhost:80", "localhost:80"),
        (pattern, "other", "other"),
        (url, "http://couchdb:5984", "http://couchdb:5984"),
    ],
)
def test_every_reader_accepts_a_final_line_end(reader: Reader, value: str, result: object) -> None:
    for given in (f"{value}\n", f"\ufeff{value}\r\n"):
        env = Environment({NAME: given})
        assert reader(env) == result
        assert env.problems == []


def test_a_secret_is_read_from_its_variable_or_file(tmp_path: Path) -> None:
    assert Environment({}).secret(NAME).read() == ""
    file = tmp_path / "secret"
    file.write_text("from-file\n")
    env = Environment({f"{NAME}_FILE": str(file)})
    secret = env.secret(NAME)
    assert secret.read() == "from-file"
    file.write_text("changed")
    assert secret.read() == "changed"
    assert "changed" not in repr(secret)
    both = Environment({NAME: "from-variable", f"{NAME}_FILE": str(file)})
    both.secret(NAME)
    with pytest.raises(ImproperlyConfigured, match="given twice"):
        both.raise_first()
    assert Environment({NAME: "from-variable"}).secret(NAME).read() == "from-variable"


def test_an_unreadable_secret_file_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    env = Environment({f"{NAME}_FILE": str(file)})
    assert env.secret(NAME).read() == ""
    with pytest.raises(ImproperlyConfigured, match=f"^{NAME}_FILE: "):
        env.raise_first()
    file.write_text("here")
    secret = Environment({f"{NAME}_FILE": str(file)}).secret(NAME)
    file.unlink()
    with pytest.raises(ImproperlyConfigured, match=f"^{NAME}_FILE: "):
        secret.read()
