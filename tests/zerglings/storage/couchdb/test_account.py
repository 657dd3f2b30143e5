"""When a refused password is sent again, and when not."""

from __future__ import annotations

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured

from zerglings.storage.base import AccountRefused, StoreUnavailable
from zerglings.storage.couchdb.account import LATER_TRIES, LOCK_REST, SECOND_TRY, Account


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


def test_a_password_of_any_letters_is_sent_as_utf_8() -> None:
    assert header(Account("zoë", lambda: "p:ж")) == "Basic em/DqzpwOtC2"


def test_without_a_password_nothing_is_sent() -> None:
    account = Account("admin", str)
    assert account.is_anonymous
    assert header(account) is None


def test_a_password_refused_from_the_first_rests_long(clock: Clock) -> None:
    account = Account("a", lambda: "b", clock=clock)
    rests_for(account, clock, LATER_TRIES, LATER_TRIES)


def test_a_password_that_was_good_before_has_a_second_try_soon(clock: Clock) -> None:
    account = Account("a", lambda: "b", clock=clock)
    account.accepted()
    rests_for(account, clock, SECOND_TRY, LATER_TRIES, LATER_TRIES)


def rests_for(account: Account, clock: Clock, *rests: float) -> None:
    for rest in rests:
        assert header(account)
        assert not account.refused(None)
        clock.now += rest - 0.1
        with pytest.raises(AccountRefused):
            header(account)
        clock.now += 0.2
    assert header(account)


def test_five_minutes_see_fewer_tries_than_lock_the_account(clock: Clock) -> None:
    account = Account("a", lambda: "b", clock=clock)
    account.accepted()
    tries = 0
    for _ in range(2990):
        clock.now += 0.1
        try:
            header(account)
        except AccountRefused:
            continue
        account.refused(None)
        tries += 1
    assert tries == 2, "two processes of a pod stay below five"


def test_a_new_password_is_sent_at_once(clock: Clock) -> None:
    passwords = ["old"]
    account = Account("a", lambda: passwords[0], clock=clock)
    assert not account.refused(None)
    passwords[0] = "new"
    assert header(account) == "Basic YTpuZXc="


def test_a_refusal_that_meets_a_new_password_is_worth_another_try(clock: Clock) -> None:
    passwords = ["old"]
    account = Account("a", lambda: passwords[0], clock=clock)
    passwords[0] = "new"
    assert account.refused(None)
    assert account.password == "new"


def test_an_accepted_password_may_be_refused_afresh(clock: Clock) -> None:
    account = Account("a", lambda: "b", clock=clock)
    for _ in range(3):
        account.refused(None)
        clock.now += LATER_TRIES
        account.accepted()
        assert header(account)
        account.refused(None)
        clock.now += SECOND_TRY
        assert header(account)


def test_a_file_that_is_gone_is_no_new_password(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def gone() -> str:
        if clock.now > 100:
            raise ImproperlyConfigured("COUCHDB_PASSWORD_FILE: cannot read it")
        return "old"

    account = Account("a", gone, clock=clock)
    clock.now += 1
    assert not account.refused(None)
    with pytest.raises(AccountRefused):
        header(account)
    assert "cannot read it" in caplog.text


def test_a_locked_account_rests_whatever_its_password(clock: Clock) -> None:
    passwords = ["old"]
    account = Account("a", lambda: passwords[0], clock=clock)
    account.accepted()
    account.locked()
    passwords[0] = "new"
    clock.now += LOCK_REST - 0.1
    with pytest.raises(StoreUnavailable, match="has locked the account 'a'"):
        header(account)
    clock.now += 0.2
    assert header(account)
    account.locked()
    account.accepted()
    assert header(account)


def test_whether_a_password_is_good_is_waited_for_no_longer_than_asked() -> None:
    account = Account("a", lambda: "b")
    with account.trial(1.0), pytest.raises(StoreUnavailable) as caught, account.trial(0.05):
        pass
    assert not isinstance(caught.value, AccountRefused), "nobody has refused it"
    with account.trial(0.05):
        account.accepted()
    with account.trial(0.05), account.trial(0.05):
        pass


def test_a_late_refusal_of_an_old_password_says_nothing_about_the_new_one(clock: Clock) -> None:
    passwords = ["old"]
    account = Account("a", lambda: passwords[0], clock=clock)
    account.accepted()
    under_way = [header(account) for _ in range(3)]
    passwords[0] = "new"
    assert account.refused(under_way[0])
    account.accepted()
    assert all(account.refused(late) for late in under_way[1:])
    assert header(account) == header(Account("a", lambda: "new"))
