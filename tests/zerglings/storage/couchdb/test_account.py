"""Tests for when a refused password is sent again."""

from __future__ import annotations

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured

from zerglings.storage.base import AccountRefused, StoreUnavailable
from zerglings.storage.couchdb.account import (
    FIRST_RETRY_SECONDS,
    LOCKED_RETRY_SECONDS,
    RETRY_SECONDS,
    Account,
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def header(account: Account) -> str | None:
    request = requests.Request("GET", "http://127.0.0.1/").prepare()
    return account(request).headers.get("Authorization")


def test_a_non_ascii_password_is_sent_as_utf_8() -> None:
    assert header(Account("zoë", lambda: "p:ж")) == "Basic em/DqzpwOtC2"


def test_no_authorization_header_is_sent_without_a_password() -> None:
    account = Account("admin", str)
    assert account.is_anonymous
    assert header(account) is None


def test_a_password_that_was_never_accepted_is_retried_after_a_long_pause(clock: Clock) -> None:
    account = Account("a", lambda: "b", clock=clock)
    rests_for(account, clock, RETRY_SECONDS, RETRY_SECONDS)


def test_a_password_that_was_accepted_before_is_retried_soon(clock: Clock) -> None:
    account = Account("a", lambda: "b", clock=clock)
    account.record_success()
    rests_for(account, clock, FIRST_RETRY_SECONDS, RETRY_SECONDS, RETRY_SECONDS)


def rests_for(account: Account, clock: Clock, *rests: float) -> None:
    for rest in rests:
        assert header(account)
        assert not account.record_refusal(None)
        clock.now += rest - 0.1
        with pytest.raises(AccountRefused):
            header(account)
        clock.now += 0.2
    assert header(account)


def test_five_minutes_have_fewer_attempts_than_lock_an_account(clock: Clock) -> None:
    account = Account("a", lambda: "b", clock=clock)
    account.record_success()
    tries = 0
    for _ in range(2990):
        clock.now += 0.1
        try:
            header(account)
        except AccountRefused:
            continue
        account.record_refusal(None)
        tries += 1
    assert tries == 2, "two processes of a pod stay below five"


def test_a_new_password_is_sent_immediately(clock: Clock) -> None:
    passwords = ["old"]
    account = Account("a", lambda: passwords[0], clock=clock)
    assert not account.record_refusal(None)
    passwords[0] = "new"
    assert header(account) == "Basic YTpuZXc="


def test_a_refusal_of_a_replaced_password_allows_a_retry(clock: Clock) -> None:
    passwords = ["old"]
    account = Account("a", lambda: passwords[0], clock=clock)
    passwords[0] = "new"
    assert account.record_refusal(None)
    assert account.password == "new"


def test_an_accepted_password_resets_the_retry_pause(clock: Clock) -> None:
    account = Account("a", lambda: "b", clock=clock)
    for _ in range(3):
        account.record_refusal(None)
        clock.now += RETRY_SECONDS
        account.record_success()
        assert header(account)
        account.record_refusal(None)
        clock.now += FIRST_RETRY_SECONDS
        assert header(account)


def test_an_unreadable_password_file_is_not_a_new_password(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def gone() -> str:
        if clock.now > 100:
            raise ImproperlyConfigured("COUCHDB_PASSWORD_FILE: cannot read it")
        return "old"

    account = Account("a", gone, clock=clock)
    clock.now += 1
    assert not account.record_refusal(None)
    with pytest.raises(AccountRefused):
        header(account)
    assert "cannot read it" in caplog.text


def test_a_locked_account_pauses_even_for_a_new_password(clock: Clock) -> None:
    passwords = ["old"]
    account = Account("a", lambda: passwords[0], clock=clock)
    account.record_success()
    account.record_lock()
    passwords[0] = "new"
    clock.now += LOCKED_RETRY_SECONDS - 0.1
    with pytest.raises(StoreUnavailable, match="has locked the account 'a'"):
        header(account)
    clock.now += 0.2
    assert header(account)
    account.record_lock()
    account.record_success()
    assert header(account)


def test_waiting_for_an_unproven_password_ends_at_the_timeout() -> None:
    account = Account("a", lambda: "b")
    with (
        account.serialize_until_accepted(1.0),
        pytest.raises(StoreUnavailable) as caught,
        account.serialize_until_accepted(0.05),
    ):
        pass
    assert not isinstance(caught.value, AccountRefused), "the server has not refused it"
    with account.serialize_until_accepted(0.05):
        account.record_success()
    with account.serialize_until_accepted(0.05), account.serialize_until_accepted(0.05):
        pass


def test_a_late_refusal_of_an_old_password_does_not_block_the_new_one(clock: Clock) -> None:
    passwords = ["old"]
    account = Account("a", lambda: passwords[0], clock=clock)
    account.record_success()
    under_way = [header(account) for _ in range(3)]
    passwords[0] = "new"
    assert account.record_refusal(under_way[0])
    account.record_success()
    assert all(account.record_refusal(late) for late in under_way[1:])
    assert header(account) == header(Account("a", lambda: "new"))
