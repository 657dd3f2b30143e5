"""Tests for tokens: how lines are parsed, how a token is found, how files are reloaded."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import string
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overmind_project.auth import access
from overmind_project.auth.access import TokenStore
from overmind_project.auth.tokens import TokensError, tokens_of
from tests.support.tokens import LINES, READER, READER_LINE, STRANGER, WRITER, WRITER_LINE, line
from zerglings.secret import Secret

HASH = hashlib.sha256(b"x").hexdigest()
Pass = Callable[[], None]


def given_in_variable(text: str) -> Secret:
    return Secret("OVERMIND_TOKENS", text)


def given_in_file(path: Path) -> Secret:
    return Secret("OVERMIND_TOKENS", path=path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# who may come in\n\n{READER_LINE}\n  {WRITER_LINE}  \n")
    return path


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Pass:
    """Advances the clock until the file is checked again."""
    now = [1000.0]
    monkeypatch.setattr(access, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def pass_() -> None:
        now[0] += access.RELOAD_SECONDS

    return pass_


def names(source: Secret) -> list[tuple[str, str]]:
    return [(token.name, token.scope) for token in tokens_of(source)]


def test_a_variable_has_lines_or_commas_and_a_file_may_have_comments(file: Path) -> None:
    known = [("viewer", "read"), ("pilot", "write")]
    assert names(given_in_variable(LINES)) == known
    assert names(given_in_variable(LINES.replace(",", "\n"))) == known
    assert names(given_in_variable(LINES.replace(",", " , "))) == known
    assert names(given_in_file(file)) == known
    file.write_text(f"# first, second\r\n{READER_LINE}\r\n{WRITER_LINE}")
    assert names(given_in_file(file)) == known


def test_a_hash_may_be_upper_case() -> None:
    ring = TokenStore(given_in_variable(f"a:read:{hashlib.sha256(b'x').hexdigest().upper()}"))
    assert ring.find("x") is not None


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a:read",
        "a:read:",
        f"a:{HASH}",
        f":read:{HASH}",
        f"a b:read:{HASH}",
        f"a\x1b:read:{HASH}",
        f"ä:read:{HASH}",
        f"-a:read:{HASH}",
        f"{'a' * 65}:read:{HASH}",
        f"a:READ:{HASH}",
        f"a:admin:{HASH}",
        f"a::{HASH}",
        f"a:read:{HASH[:-1]}",
        f"a:read:{HASH}0",
        f"a:read:{HASH} # for now",
        f"a:read:{HASH}:",
        f"a:read:{HASH[:-1]}g",
        f"a:read:{HASH[:-1]}٣",
        f"a:read:{hashlib.sha256().hexdigest()}",
        f"a:read:{HASH},b:read:{HASH}",
        f"a:read:{HASH},a:read:{HASH.upper()}",
        f"a:read:{HASH},a:write:{hashlib.sha256(b'y').hexdigest()}",
        ",",
        " ",
        "# a:read:b",
    ],
)
def test_an_invalid_token_line_is_rejected_without_repeating_it(text: str) -> None:
    with pytest.raises(TokensError) as refused:
        tokens_of(given_in_variable(text))
    assert not any(part in str(refused.value) for part in (HASH, HASH.upper(), HASH[:-1], "\x1b"))


def test_a_file_without_tokens_is_rejected(file: Path) -> None:
    for text in ("", "\n", "# nobody\n"):
        file.write_text(text)
        with pytest.raises(TokensError, match="every request would be denied"):
            tokens_of(given_in_file(file))


@given(st.text(alphabet=string.printable + "äß\x00\u2028", max_size=200))
def test_no_variable_accepts_an_unknown_token(text: str) -> None:
    ring = TokenStore(given_in_variable(text))
    assert ring.find(STRANGER) is None


def test_a_token_is_found_only_by_its_exact_value() -> None:
    ring = TokenStore(given_in_variable(LINES))
    reader, writer = ring.find(READER), ring.find(WRITER)
    assert reader is not None
    assert (reader.name, reader.may_write) == ("viewer", False)
    assert writer is not None
    assert (writer.name, writer.may_write) == ("pilot", True)
    for other in (
        STRANGER,
        "",
        READER[:-1],
        READER + "=",
        READER.upper(),
        f" {READER}",
        f"{READER}\n",
        READER.encode().hex(),
        hashlib.sha256(READER.encode()).hexdigest(),
        READER_LINE,
        "é" * 10,
        "\udcff",
        "\x00",
        "x" * 1_000_000,
    ):
        assert ring.find(other) is None, other[:40]


def test_one_name_may_have_two_tokens_for_a_rotation() -> None:
    ring = TokenStore(given_in_variable(f"{line('ci', 'read', 'old')},{line('ci', 'read', 'new')}"))
    assert [token and token.name for token in map(ring.find, ("old", "new"))] == ["ci", "ci"]


def test_every_token_is_compared_whichever_is_presented(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = TokenStore(given_in_variable(LINES))
    compared: list[bytes] = []
    constant_time = hmac.compare_digest

    def compare(known: bytes, shown: bytes) -> bool:
        compared.append(known)
        return constant_time(known, shown)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for token in (READER, WRITER, STRANGER):
        compared.clear()
        ring.find(token)
        assert len(compared) == 2


def test_the_repr_of_a_token_hides_its_hash() -> None:
    (token, _) = tokens_of(given_in_variable(LINES))
    assert token.digest.hex()[:8] not in repr(token)
    assert str(token.digest) not in repr(token)


def test_a_changed_file_is_loaded_without_a_restart(file: Path, later: Pass) -> None:
    ring = TokenStore(given_in_file(file))
    reader = ring.find(READER)
    assert reader is not None
    file.write_text(f"{WRITER_LINE}\n{line('new', 'read', STRANGER)}\n")
    later()
    assert ring.find(READER) is None
    assert not ring.is_valid(reader)
    assert ring.find(STRANGER) is not None
    assert ring.find(WRITER) is not None


def test_a_mounted_secret_replaced_by_a_symlink_is_loaded(tmp_path: Path, later: Pass) -> None:
    for version, text in (("1", READER_LINE), ("2", WRITER_LINE)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "tokens").write_text(text)
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "tokens").symlink_to("..data/tokens")
    ring = TokenStore(given_in_file(tmp_path / "tokens"))
    assert ring.find(READER) is not None
    (tmp_path / "..data_tmp").symlink_to("2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    later()
    assert ring.find(READER) is None
    assert ring.find(WRITER) is not None


def test_a_change_with_equal_time_and_size_is_noticed(file: Path, later: Pass) -> None:
    file.write_text(READER_LINE)
    before = file.stat()
    ring = TokenStore(given_in_file(file))
    file.write_text(line("viewer", "read", STRANGER))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    later()
    assert ring.find(STRANGER) is not None
    assert ring.find(READER) is None


def test_the_file_is_checked_at_most_once_a_second(
    file: Path, later: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Secret] = []

    def look(source: Secret) -> object:
        looks.append(source)
        return tokens_of(source)

    monkeypatch.setattr(access, "tokens_of", look)
    ring = TokenStore(given_in_file(file))
    for _ in range(100):
        ring.find(READER)
    assert len(looks) == 1
    later()
    ring.find(READER)
    assert len(looks) == 2


@pytest.mark.parametrize("broken", ["removed", "", "# nobody", READER, b"\xff"])
def test_an_invalid_file_keeps_the_previous_tokens_and_is_logged_once(
    file: Path, later: Pass, caplog: pytest.LogCaptureFixture, broken: str | bytes
) -> None:
    good = file.read_text()
    ring = TokenStore(given_in_file(file))
    if broken == "removed":
        file.unlink()
    else:
        file.write_bytes(broken if isinstance(broken, bytes) else broken.encode())
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            later()
            assert ring.find(READER) is not None
            assert ring.find(STRANGER) is None
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert READER not in record.getMessage()
    caplog.clear()
    file.write_text(good)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            later()
            assert ring.find(READER) is not None
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_an_initially_invalid_file_accepts_no_token_until_it_is_corrected(
    file: Path, later: Pass
) -> None:
    good = file.read_text()
    file.write_text("")
    ring = TokenStore(given_in_file(file))
    assert ring.find(READER) is None
    file.write_text(good)
    later()
    assert ring.find(READER) is not None
