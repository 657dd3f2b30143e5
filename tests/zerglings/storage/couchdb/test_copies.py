"""Tests for finding shard copies that lack documents."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

import pytest

from tests.support.backends import Backend
from tests.support.cluster import NODES, says
from tests.support.copies import AWAY, RANGES, RESTING, hold, looks
from tests.support.documents import SOON
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault
from zerglings.storage.base import CopiesBehind, Store, StoreUnavailable
from zerglings.storage.couchdb import copies as couchdb_copies
from zerglings.storage.couchdb.copies import beginning_of


@pytest.fixture
def remote(couch: Backend, proxy: FaultProxy) -> Iterator[Store]:
    with closing(couch.through(proxy.url).open()) as store:
        yield store


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couchdb_copies, "LISTING_SETTLING_TIME", 0.1)


def test_equal_copies_lack_no_documents(remote: Store, proxy: FaultProxy) -> None:
    hold(proxy, a=(30,), b=(30,), c=(30,))
    assert remote.missing_documents(timeout=SOON) == 0
    remote.check_copies(timeout=SOON)


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize(("count", "lacking"), [(0, 30), (3, 27), (29, 1)])
def test_a_copy_that_lacks_documents_is_reported(
    remote: Store, proxy: FaultProxy, count: int, lacking: int
) -> None:
    hold(proxy, a=(30,), b=(count,), c=(30,))
    assert remote.missing_documents(timeout=SOON) == lacking
    with pytest.raises(CopiesBehind):
        remote.check_copies(timeout=SOON)


@pytest.mark.usefixtures("_hasty")
def test_missing_documents_of_several_copies_are_summed(remote: Store, proxy: FaultProxy) -> None:
    hold(proxy, a=(0,), b=(30,), c=(29,))
    assert remote.missing_documents(timeout=SOON) == 31


def test_a_document_that_is_still_being_replicated_is_waited_for(
    remote: Store, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couchdb_copies, "LISTING_SETTLING_TIME", 30.0)
    hold(proxy, a=(30,), b=(29, 29, 31), c=(28, 30))
    assert remote.missing_documents(timeout=60.0) == 0


def test_shards_with_a_single_copy_are_not_compared(remote: Store, proxy: FaultProxy) -> None:
    hold(proxy, a=(30,))
    assert remote.missing_documents(timeout=SOON) is None
    assert not [seen for seen in proxy.requests if "_changes" in seen.path]


def test_a_node_in_maintenance_is_not_counted_as_lacking(remote: Store, proxy: FaultProxy) -> None:
    hold(proxy, a=(30,), b=(30,), c=(RESTING,))
    assert remote.missing_documents(timeout=SOON) == 0


@pytest.mark.usefixtures("_hasty")
def test_a_node_in_maintenance_does_not_hide_an_incomplete_copy(
    remote: Store, proxy: FaultProxy
) -> None:
    hold(proxy, a=(30,), b=(3,), c=(RESTING,))
    assert remote.missing_documents(timeout=SOON) == 27


def test_an_unreachable_node_is_not_counted_as_lacking(remote: Store, proxy: FaultProxy) -> None:
    hold(proxy, a=(30,), b=(30,), c=(AWAY,))
    assert remote.missing_documents(timeout=SOON) == 0


@pytest.mark.parametrize(("b", "c"), [(AWAY, AWAY), (AWAY, RESTING), (RESTING, RESTING)])
def test_too_few_reachable_copies_are_an_error(
    remote: Store, proxy: FaultProxy, b: int, c: int
) -> None:
    hold(proxy, a=(3,), b=(b,), c=(c,))
    with pytest.raises(StoreUnavailable):
        remote.missing_documents(timeout=SOON)
    with pytest.raises(StoreUnavailable):
        remote.check_copies(timeout=SOON)


@pytest.mark.parametrize("shards", [{}, {RANGES[0]: [], RANGES[1]: []}])
def test_shards_without_copies_are_an_error(
    remote: Store, proxy: FaultProxy, shards: dict[str, list[str]]
) -> None:
    hold(proxy, a=(30,), b=(30,), c=(30,))
    are_named = Fault(says({"shards": shards}), lambda _method, path: path.endswith("/_shards"))
    proxy.faults = [are_named, *proxy.faults]
    with pytest.raises(StoreUnavailable):
        remote.missing_documents(timeout=SOON)


@pytest.mark.usefixtures("_hasty")
def test_an_extra_copy_of_one_shard_is_compared_too(remote: Store, proxy: FaultProxy) -> None:
    a, b, c = NODES[:3]
    hold(proxy, a=(30,), b=(30,), c=(30,))
    shards = {RANGES[0]: [a, b, c], RANGES[1]: [a, b]}
    are_named = Fault(says({"shards": shards}), lambda _method, path: path.endswith("/_shards"))
    proxy.faults = [are_named, *proxy.faults]
    further = quote(beginning_of([(RANGES[0], c), (RANGES[1], a)]))
    told = {
        "results": [],
        "last_seq": beginning_of([(RANGES[0], c), (RANGES[1], a)]),
        "pending": 12,
    }
    proxy.faults = [
        Fault(says(told), lambda _method, path: f"since={further}&" in path),
        *proxy.faults,
    ]
    assert remote.missing_documents(timeout=SOON) == 18


def test_a_store_without_copies_lacks_no_documents(store: Store) -> None:
    assert not store.missing_documents(timeout=SOON)
    store.check_copies(timeout=SOON)


def test_a_missing_count_is_not_taken_for_zero(remote: Store, proxy: FaultProxy) -> None:
    hold(proxy, a=(30,), b=(None,), c=(30,))
    with pytest.raises(StoreUnavailable):
        remote.missing_documents(timeout=SOON)


def test_both_databases_are_compared_separately(remote: Store, proxy: FaultProxy) -> None:
    hold(proxy, a=(30,), b=(30,), c=(30,))
    remote.missing_documents(timeout=SOON)
    remote.history.missing_documents(timeout=SOON)
    names = {seen.path.split("/")[1] for seen in proxy.requests if "_changes" in seen.path}
    assert len(names) == looks(proxy) == 2


def test_a_position_is_encoded_as_erlang_encodes_it() -> None:
    position = beginning_of([("00000000-7fffffff", "n1@h"), ("80000000-ffffffff", "n2")])
    number, _, opaque = position.partition("-")
    assert number == "0"
    assert base64.urlsafe_b64decode(opaque + "=" * (-len(opaque) % 4)).hex() == TERM


TERM = (
    "836c00000002680377046e3140686c000000026100627fffffff6a6100"
    "680377026e326c000000026e0400000000806e0400ffffffff6a61006a"
)
"""``term_to_binary([{n1@h,[0,2147483647],0},{n2,[2147483648,4294967295],0}])`` of Erlang 27."""
