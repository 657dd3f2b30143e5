"""Tests that the report of a campaign tells faults from what is allowed."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from tests.proof.regions.clients import SLOW, Failure
from tests.proof.regions.heals import GRACE, Healing, Outcome, heal
from tests.proof.regions.report import Excuse, Period, Report
from tests.support.backends import couchdb_backend
from tests.support.ports import free_port
from tests.support.site import CouchDBServer

HERE, ELSEWHERE = 8080, 8081
STOPPED = Healing(1, "CommandError: heal stopped: the store does not answer; run it again")


def failure(port: int = HERE, *, at: float = 10.0, said: str = "", delay: float = 0.0) -> Failure:
    return Failure(port, at, at + 1, 503, "/zerglings/an-id/history", said, delay)


def report_of_a_kill() -> Report:
    """Return a report in which the store of ``HERE`` was killed from 9 to 10.5 s."""
    report = Report()
    report.aways.append((Period(HERE, 9, 10.5), Excuse.KILLED))
    return report


def test_a_read_that_failed_while_its_own_store_was_killed_is_counted_apart() -> None:
    report = report_of_a_kill()
    report.enter_read(failure())
    assert report.failed_reads == Counter([Excuse.KILLED])
    assert report.is_clean()


@pytest.mark.parametrize("read", [failure(ELSEWHERE), failure(at=11.0)])
def test_a_read_that_failed_elsewhere_or_later_is_a_fault(read: Failure) -> None:
    report = report_of_a_kill()
    report.enter_read(read)
    assert not report.failed_reads
    assert not report.is_clean()


def test_a_read_that_failed_in_an_overloaded_region_is_counted_apart() -> None:
    report = Report()
    report.enter_read(failure(delay=SLOW + 0.1))
    assert report.failed_reads == Counter([Excuse.SLOW])
    assert report.is_clean()


def test_a_read_that_failed_because_a_part_was_on_its_way_is_a_fault() -> None:
    report = Report()
    report.enter_read(failure(said="A part of this history … has not arrived yet; …"))
    assert not report.is_clean()


@pytest.mark.parametrize(
    ("cause", "outcome"),
    [
        ("an-id still has rival revisions", Outcome.UNFINISHED),
        ("a document was not removed: too large", Outcome.FAILED),
        ("skipped the chunks of an-id: its history is damaged", Outcome.FAILED),
    ],
)
def test_a_heal_may_leave_only_what_others_changed_meanwhile(cause: str, outcome: Outcome) -> None:
    said = [
        "2026-01-01T00:00:00.000Z INFO zerglings.repository.reading: Merged 2 rival revisions",
        "       7  zerglings with rival revisions merged",
        cause,
        "CommandError: 1 steps or documents failed; run it again",
    ]
    healing = Healing(1, "\n".join(said))
    assert healing.outcome is outcome
    assert healing.complaints == said[2:]


def test_a_heal_that_fails_without_a_cause_is_a_fault() -> None:
    assert Healing(1, "Traceback").outcome is Outcome.FAILED
    assert Healing(1, "").outcome is Outcome.FAILED


def test_a_heal_may_be_stopped_only_while_its_own_store_was_killed() -> None:
    report = report_of_a_kill()
    report.enter_heal("east", Period(HERE, 8, 12), STOPPED)
    assert report.is_clean()
    report.enter_heal("west", Period(ELSEWHERE, 8, 12), STOPPED)
    assert not report.is_clean()
    assert report.heals == Counter({Outcome.STOPPED.value: 2})


def test_a_heal_that_fails_otherwise_is_a_fault() -> None:
    report = report_of_a_kill()
    report.enter_heal("east", Period(HERE, 8, 12), Healing(1, "Traceback …"))
    assert not report.is_clean()


def test_a_heal_ends_with_what_it_has_done(couchdb: CouchDBServer) -> None:
    with couchdb_backend(couchdb) as backend:
        healing = heal(backend.environment, threading.Event())
    assert healing.outcome is Outcome.DONE
    assert "zerglings with rival revisions merged" in healing.counts


def test_a_heal_that_cannot_ask_a_peer_is_counted_as_refused(couchdb: CouchDBServer) -> None:
    with couchdb_backend(couchdb) as backend:
        peers = {
            "COUCHDB_PEERS": f"west=http://127.0.0.1:{free_port()}",
            "COUCHDB_PEERS_PASSWORD": "relax",
        }
        healing = heal(backend.environment | peers, threading.Event())
    report = Report()
    report.enter_heal("east", Period(HERE, 0, GRACE), healing)
    assert report.heals == Counter({Outcome.REFUSED.value: 1})
    assert report.heal_said
    assert report.is_clean()
