"""Tests for the feed in one process: what each listener receives, and when it is dropped."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Generator, Iterator

import pytest

from tests.support.backends import Backend
from tests.support.documents import write
from tests.support.faulty_store import FaultyStore, raising
from tests.support.rivals import plant
from tests.support.waiting import wait_until
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.feed import event_stream, listeners
from zerglings.feed import reader as feed
from zerglings.feed.reader import Feed, FeedEnded, TooManyForCaller, TooManyListeners
from zerglings.hive.hive import Hive
from zerglings.storage.base import NotBootstrapped, Store, StoreUnavailable, UnknownPosition

LONG = 20.0


class Line:
    def __init__(self, caller: str | None = None) -> None:
        self.caller = caller
        self.is_broken = threading.Event()
        self.is_left = False

    def should_end(self) -> bool:
        return self.is_left

    def abort(self) -> None:
        self.is_broken.set()


@pytest.fixture
def hive(faulty: FaultyStore) -> Hive:
    return Hive(faulty)


@pytest.fixture
def open_feed(hive: Hive, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    monkeypatch.setattr(feed, "WAIT", 0.1)
    open_feed = Feed(hive, limit=3)
    yield open_feed
    open_feed.end()
    wait_until(lambda: "feed" not in (t.name for t in threading.enumerate()), "the feed has ended")


def listen(open_feed: Feed, since: str | None = None, line: Line | None = None) -> Generator[bytes]:
    pieces = open_feed.listen(since, line or Line())
    assert next(pieces)
    return pieces


def position_of(hive: Hive) -> str:
    return hive.changes_after(None).position


def events(piece: bytes) -> list[tuple[str, dict[str, object]]]:
    found = []
    for part in piece.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in part.splitlines() if ": " in line)
        if fields and fields["event"] != "heartbeat":
            found.append((fields["event"], json.loads(fields["data"]).get("zergling")))
    return found


def next_events(pieces: Iterator[bytes]) -> list[tuple[str, dict[str, object]]]:
    """Return the events of the next piece that is not a heartbeat."""
    return next(found for piece in pieces if (found := events(piece)))


def ids_in(pieces: Iterator[bytes], count: int) -> set[str]:
    ids: set[str] = set()
    while len(ids) < count:
        ids |= {str(state["id"]) for _, state in next_events(pieces)}
    return ids


def listening(open_feed: Feed, hive: Hive) -> Generator[bytes]:
    """Return the stream of a listener that has already received an event."""
    pieces = listen(open_feed)
    newborn = hive.spawn(Pose())
    assert ids_in(pieces, 1) == {newborn.id}
    return pieces


def test_all_listeners_receive_the_same_bytes(open_feed: Feed, hive: Hive) -> None:
    listeners = [listen(open_feed) for _ in range(3)]
    hive.spawn(Pose())
    pieces = [next(piece for piece in listener if events(piece)) for listener in listeners]
    assert pieces[0] == pieces[1] == pieces[2]
    for listener in listeners:
        listener.close()


def test_a_listener_that_resumes_after_many_changes_receives_each_zergling_once(
    open_feed: Feed, hive: Hive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "ZERGLINGS_PER_BATCH", 10)
    position = position_of(hive)
    swarm = [outcome for part in hive.bulk.spawn(55, Pose()) for outcome in part]
    ids = [outcome.id for outcome in swarm if isinstance(outcome, Zergling)]
    pieces = open_feed.listen(position, Line())
    heard = [
        state["id"] for piece in (next(pieces) for _ in range(6)) for _, state in events(piece)
    ]
    assert sorted(map(str, heard)) == sorted(ids)
    late = hive.spawn(Pose())
    assert ids_in(pieces, 1) == {late.id}
    pieces.close()


def test_the_number_of_listeners_is_limited(open_feed: Feed) -> None:
    listeners = [listen(open_feed) for _ in range(3)]
    with pytest.raises(TooManyListeners):
        listen(open_feed)
    listeners.pop().close()
    listeners.append(listen(open_feed))
    for listener in listeners:
        listener.close()


def test_one_caller_cannot_take_all_slots(hive: Hive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "WAIT", 0.1)
    open_feed = Feed(hive, limit=4)
    listeners = [listen(open_feed, line=Line("anna")) for _ in range(2)]
    with pytest.raises(TooManyForCaller):
        listen(open_feed, line=Line("anna"))
    listeners += [listen(open_feed, line=Line("bert")), listen(open_feed)]
    listeners.pop(0).close()
    listeners.append(listen(open_feed, line=Line("anna")))
    for listener in listeners:
        listener.close()
    open_feed.end()


def test_any_caller_may_take_the_only_slot(hive: Hive) -> None:
    open_feed = Feed(hive, limit=1)
    listen(open_feed, line=Line("anna")).close()
    open_feed.end()


def test_anonymous_listeners_are_not_counted_as_one_caller(open_feed: Feed) -> None:
    listeners = [listen(open_feed) for _ in range(3)]
    for listener in listeners:
        listener.close()


def test_the_store_is_read_only_while_there_are_listeners(open_feed: Feed, hive: Hive) -> None:
    def readers() -> int:
        return sum(thread.name == "feed" for thread in threading.enumerate())

    wait_until(lambda: readers() == 0, "the readers of earlier tests have ended")
    listeners = [listen(open_feed), listen(open_feed)]
    assert readers() == 1
    for listener in listeners:
        listener.close()
    wait_until(lambda: readers() == 0, "nobody reads")
    again = listen(open_feed)
    newborn = hive.spawn(Pose())
    assert ids_in(again, 1) == {newborn.id}
    again.close()


def test_heartbeats_are_sent_while_nothing_changes(
    open_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "HEARTBEAT_EVERY", 0.05)
    pieces = listen(open_feed)
    assert [next(pieces) for _ in range(3)] == [event_stream.HEARTBEAT] * 3
    pieces.close()


def test_a_listener_with_a_long_backlog_is_dropped_and_others_are_kept(
    open_feed: Feed, hive: Hive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listeners, "BACKLOG_LIMIT", 2000)
    caplog.set_level(logging.INFO)
    line = Line()
    slow, quick = listen(open_feed, line=line), listen(open_feed)
    for _ in range(2):  # the first event may arrive while they still catch up
        newborn = hive.spawn(Pose())
        assert ids_in(slow, 1) == ids_in(quick, 1) == {newborn.id}
    while not line.is_broken.is_set():
        zergling = hive.spawn(Pose())
        assert ids_in(quick, 1) == {zergling.id}
    assert list(slow) == []
    assert [record.message for record in caplog.records if "listener" in record.message] == [
        "A listener is too slow and was dropped"
    ]
    quick.close()


def test_a_listener_that_stops_reading_is_dropped(
    open_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "STALL_LIMIT", 0.1)
    line = Line()
    pieces = open_feed.listen(None, line)
    assert next(pieces)  # and never asks for the next
    assert line.is_broken.wait(LONG)
    assert list(pieces) == []


def test_a_closed_connection_frees_its_slot_immediately(open_feed: Feed, hive: Hive) -> None:
    lines = [Line() for _ in range(3)]
    listeners = [listen(open_feed, line=line) for line in lines]
    lines[0].is_left = True
    assert list(listeners[0]) == []
    listeners[0] = listen(open_feed)
    newborn = hive.spawn(Pose())
    assert ids_in(listeners[1], 1) == {newborn.id}
    for listener in listeners:
        listener.close()


def test_ending_the_feed_ends_all_streams_and_rejects_new_ones(open_feed: Feed) -> None:
    pieces = listen(open_feed)
    open_feed.end()
    assert list(pieces) == []
    with pytest.raises(FeedEnded):
        listen(open_feed)


def test_listeners_are_rejected_while_the_store_is_unavailable(
    open_feed: Feed, faulty: FaultyStore
) -> None:
    faulty.before_changes = raising(StoreUnavailable("away"), times=10**6)
    for since in (None, "1"):
        with pytest.raises(StoreUnavailable):
            listen(open_feed, since)
    faulty.before_changes = lambda: None

    def is_let_in() -> bool:
        try:
            listen(open_feed).close()
        except StoreUnavailable:
            return False
        return True

    wait_until(is_let_in, "the listener is accepted")


def test_an_outage_is_logged_once_and_loses_no_event(
    open_feed: Feed, hive: Hive, faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = listening(open_feed, hive)
    faulty.before_changes = raising(StoreUnavailable("away"), times=3)
    wait_until(lambda: "streams pause" in caplog.text, "the failure is logged")
    swarm = {hive.spawn(Pose()).id for _ in range(5)}
    heard = ids_in(pieces, 5)
    assert heard == swarm
    lines = [r.message for r in caplog.records if "streams pause" in r.message]
    assert lines == ["Event streams pause while the store fails: away"]
    pieces.close()


def test_a_store_failure_while_a_listener_catches_up_is_waited_for(
    open_feed: Feed, hive: Hive, faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "ZERGLINGS_PER_BATCH", 10)
    monkeypatch.setattr(feed, "LONGEST_PAUSE", 0.05)
    position = position_of(hive)
    swarm = [outcome for part in hive.bulk.spawn(40, Pose()) for outcome in part]
    pieces = open_feed.listen(position, Line())
    heard = {str(state["id"]) for _, state in events(next(pieces))}
    faulty.before_changes = raising(StoreUnavailable("away"), times=3)
    heard |= ids_in(pieces, 30)
    assert heard == {outcome.id for outcome in swarm if isinstance(outcome, Zergling)}
    pieces.close()


def test_an_unknown_position_of_one_listener_does_not_stop_the_others(
    open_feed: Feed, hive: Hive, faulty: FaultyStore
) -> None:
    first = listening(open_feed, hive)
    lost = open_feed.listen(position_of(hive), Line())
    next(lost)
    faulty.before_changes = raising(UnknownPosition("restored"), times=2)
    second = hive.spawn(Pose())
    for pieces in (first, lost):
        while second.id not in {str(s and s["id"]) for _, s in next_events(pieces)}:
            """A reset comes first, and earlier events may be repeated."""
        pieces.close()


def test_a_recreated_database_sends_a_reset(
    open_feed: Feed, hive: Hive, faulty: FaultyStore
) -> None:
    pieces = listening(open_feed, hive)
    faulty.before_changes = raising(NotBootstrapped("gone"), times=2)
    while {kind for kind, _ in next_events(pieces)} != {"reset"}:
        """Earlier events may be repeated."""
    pieces.close()


def test_a_position_lost_by_the_store_sends_a_reset_to_all(
    open_feed: Feed, hive: Hive, faulty: FaultyStore
) -> None:
    pieces = listen(open_feed)
    for _ in range(2):  # the first event may arrive while it still catches up
        first = hive.spawn(Pose())
        assert ids_in(pieces, 1) == {first.id}
    faulty.before_changes = raising(UnknownPosition("recreated"))
    while (kinds := {kind for kind, _ in next_events(pieces)}) == {"spawned"}:
        """The first events may be repeated."""
    assert kinds == {"reset"}
    second = hive.spawn(Pose())
    assert ids_in(pieces, 1) == {second.id}
    pieces.close()


def test_an_unreadable_zergling_does_not_stop_the_events_of_others(
    open_feed: Feed, hive: Hive, faulty: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = listening(open_feed, hive)
    faulty.history.before_page = raising(StoreUnavailable("away"), times=10**6)
    of_the_original = {
        "_id": "5fb0c3ce-0000-4000-8000-000000000000",
        "location": {"x": 0, "y": 120},
        "facing": "N",
        "commandHistory": ["M"] * 120,
    }
    write(faulty, of_the_original)  # whether it has older history cannot be found out
    other = hive.spawn(Pose())
    assert ids_in(pieces, 1) == {other.id}
    assert "Left out the change event of 5fb0c3ce-0000-4000-8000-000000000000" in caplog.text
    pieces.close()


def test_documents_that_are_not_zerglings_send_no_event(
    open_feed: Feed, hive: Hive, store: Store
) -> None:
    pieces = listen(open_feed)
    write(store, {"_id": "somebody", "name": "else"})
    newborn = hive.spawn(Pose())
    assert ids_in(pieces, 1) == {newborn.id}
    pieces.close()


def test_conflicting_revisions_are_merged_before_an_event_is_sent(couch: Backend) -> None:
    store = couch.open()
    hive = Hive(store)
    zergling = hive.spawn(Pose())
    hive.command(zergling.id, CommandRequest.command("MM"))
    open_feed = Feed(hive, limit=1)
    pieces = listen(open_feed)
    rival = zergling.apply(CommandRequest("rival", ("R",)))
    plant(couch, rival, after=zergling.revision or "", generation=9)
    (_, state), *_ = next_events(pieces)
    merged = hive.get(zergling.id)
    assert (state["commandCount"], state["_rev"]) == (3, merged.revision)
    pieces.close()
    open_feed.end()
    store.close()
