"""Tests for `manage.py heal`, run as a process."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import closing

import pytest

from tests.support.backends import Backend
from tests.support.cluster import says
from tests.support.copies import hold
from tests.support.documents import SOON, leaves
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault, Hang
from tests.support.manage import Done, python, started
from tests.support.peer import Peer
from tests.support.rivals import plant
from tests.support.site import CouchDBServer, Site
from tests.support.waiting import wait_until
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.healing import Healer
from zerglings.hive.hive import Hive

TIMEOUT = 60.0


def heal(environment: Mapping[str, str], *options: str) -> Done:
    return python("manage.py", "heal", *options, **environment)


def counts(done: Done) -> dict[str, int]:
    return {
        words: int(number)
        for number, words in re.findall(r"^ *(\d+)  (.+)$", done.stdout, re.MULTILINE)
    }


def old_death(hive: Hive) -> Zergling:
    zergling = hive.spawn(Pose())
    hive.command(zergling.id, CommandRequest.death(time.time() - 40 * 24 * 60 * 60))
    return zergling


def test_the_embedded_store_is_healed(sqlite: Backend) -> None:
    store = sqlite.open()
    dead, living = old_death(Hive(store)), Hive(store).spawn(Pose())
    done = heal(sqlite.environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert counts(done) == {
        "zerglings with rival revisions merged": 0,
        "keys of bulk calls with rival records merged": 0,
        "merged revisions purged": 0,
        "long dead removed": 1,
        "unreachable parts of histories removed": 0,
    }
    assert leaves(store, dead.id) == []
    assert leaves(store, living.id)
    store.close()


def test_nothing_is_removed_while_a_region_is_not_listed(couch: Backend, proxy: FaultProxy) -> None:
    store = couch.open()
    dead = old_death(Hive(store))
    replication = f"overmind:{couch.environment['COUCHDB_DATABASE']}:east"
    rows = {"rows": [{"id": replication}]}
    hold(proxy, a=(3,), b=(3,), c=(3,))
    replications = Fault(says(rows), lambda _, path: path.startswith("/_replicator/_all_docs"))
    proxy.faults = [*proxy.faults, replications]
    done = heal(couch.through(proxy.url).environment)
    assert done.returncode == 1
    assert "COUCHDB_PEERS does not list east" in done.stderr
    assert "merged revisions purged" not in counts(done)
    assert leaves(store, dead.id)
    store.close()


def test_nothing_is_removed_while_a_region_does_not_answer(couch: Backend) -> None:
    store = couch.open()
    dead = old_death(Hive(store))
    peers = {"COUCHDB_PEERS": "east=http://127.0.0.1:1", "COUCHDB_PEERS_PASSWORD": "migrate"}
    done = heal(couch.environment | peers)
    assert done.returncode == 1
    assert "cannot be compared with peer east: " in done.stderr
    assert "merged revisions purged" not in counts(done)
    assert leaves(store, dead.id)
    store.close()


def test_the_grace_period_can_be_configured(sqlite: Backend) -> None:
    store = sqlite.open()
    old_death(Hive(store))
    assert counts(heal(sqlite.environment, "--grace", "50"))["long dead removed"] == 0
    by_setting = sqlite.environment | {"OVERMIND_HEAL_GRACE": "41"}
    assert counts(heal(by_setting))["long dead removed"] == 0
    assert counts(heal(sqlite.environment, "--grace", "39.5"))["long dead removed"] == 1
    store.close()


@pytest.mark.parametrize("grace", ["-1", "soon", "1e9", "nan"])
def test_an_invalid_grace_period_is_rejected(sqlite: Backend, grace: str) -> None:
    done = heal(sqlite.environment, f"--grace={grace}")
    assert done.returncode == 2
    assert "not a number of days" in done.stderr


def with_a_rival(backend: Backend, hive: Hive) -> Zergling:
    zergling = hive.command(hive.spawn(Pose()).id, CommandRequest.command("M"))
    hive.command(zergling.id, CommandRequest.command("L"))
    rival = zergling.apply(CommandRequest("rival", ("R",)))
    plant(backend, rival, after=zergling.revision or "")
    return zergling


def knows_clusters(server: CouchDBServer) -> bool:
    """Whether the server is CouchDB 2 or later, which has admin requests and purges."""
    client = server.client()
    welcome = client.request("GET", [], timeout=SOON)
    client.close()
    return "couchdb" in welcome and not welcome["version"].startswith("1.")


def test_an_account_without_admin_rights_on_a_cluster_only_merges(site: Site) -> None:
    site.bootstrap()
    backend = Backend(site.service_environment | {"OVERMIND_STORE": "couchdb"})
    store = backend.open()
    zergling, dead = with_a_rival(backend, Hive(store)), old_death(Hive(store))
    done = heal(site.service_environment)
    assert counts(done)["zerglings with rival revisions merged"] == 1
    assert len(leaves(store, zergling.id) or []) == 1
    is_refused = knows_clusters(site.server)
    assert ("the account is not a server admin's" in done.stdout) == is_refused
    assert bool(leaves(store, dead.id)) == is_refused
    store.close()


def test_an_admin_account_purges_merged_revisions(couch: Backend, couchdb: CouchDBServer) -> None:
    store = couch.open()
    zergling = with_a_rival(couch, Hive(store))
    done = heal(couch.environment)
    assert counts(done)["zerglings with rival revisions merged"] == 1
    if knows_clusters(couchdb):
        assert counts(done)["merged revisions purged"] == 1
    else:
        assert done.returncode == 0 or "deleted leaves cannot be purged" in done.stderr
    assert sorted(Hive(store).get(zergling.id).history) == ["L", "M", "R"]
    store.close()


LIVES = 300


def test_a_killed_heal_of_the_embedded_store_is_completed_by_the_next(sqlite: Backend) -> None:
    with closing(sqlite.open()) as store:
        hive = Hive(store)
        dead = [old_death(hive).id for _ in range(LIVES)]
        living = [
            hive.command(hive.spawn(Pose()).id, CommandRequest.command("M")) for _ in range(5)
        ]
        running = started(sqlite.environment, "heal")
        wait_until(lambda: not leaves(store, min(dead)), "the first of them is removed")
        running.kill()
        running.communicate()
        left = [id_ for id_ in dead if leaves(store, id_)]
        assert left, "it had finished"
        assert counts(heal(sqlite.environment))["long dead removed"] == len(left)
        assert not any(leaves(store, id_) for id_ in dead)
        assert [hive.get(zergling.id) for zergling in living] == living


def kill_at_write(backend: Backend, proxy: FaultProxy, number: int, *, carried_out: bool) -> bool:
    """Kill a heal during its n-th write; return False if it has no such write."""
    release, reached = threading.Event(), threading.Event()
    seen = [0]

    def is_it(method: str, path: str) -> bool:
        seen[0] += method == "PUT" or "_bulk_docs" in path or "_purge" in path
        if seen[0] == number + 1:
            reached.set()
        return seen[0] == number + 1

    proxy.fault = Fault(Hang(release, forward=carried_out), is_it)
    running = started(backend.through(proxy.url).environment, "heal")
    while not reached.wait(0.01) and running.poll() is None:
        pass
    running.kill()
    running.communicate()
    release.set()
    proxy.fault = None
    return reached.is_set()


@pytest.mark.proof
def test_a_heal_killed_at_any_write_is_completed_by_the_next(
    couch: Backend, proxy: FaultProxy
) -> None:
    """The write is alternately executed or not; the next heal must complete the work."""
    number, was_reached = 0, True
    with closing(couch.open()) as store:
        hive, healer = Hive(store), Healer(store, 100)
        while was_reached:
            for carried_out in (False, True):
                zergling, dead = with_a_rival(couch, hive), old_death(hive)
                was_reached = kill_at_write(couch, proxy, number, carried_out=carried_out)
                healer.merge()
                healer.remove_dead(time.time() - 30 * 24 * 60 * 60)
                assert sorted(hive.get(zergling.id).history) == ["L", "M", "R"]
                assert len(leaves(store, zergling.id) or []) == 1
                assert leaves(store, dead.id) == []
            number += 1
        assert healer.failures == []
    assert number > 3
    done = heal(couch.environment)
    assert done.returncode == 0 or "deleted leaves cannot be purged" in done.stderr


def test_nothing_is_removed_while_copies_lack_documents(couch: Backend, proxy: FaultProxy) -> None:
    with closing(couch.open()) as store:
        dead = old_death(Hive(store))
        hold(proxy, a=(3,), b=(1,), c=(3,))
        done = heal(couch.through(proxy.url).environment)
        assert "lack 2 documents" in done.stdout
        assert "long dead removed" not in counts(done)
        assert leaves(store, dead.id)


def test_an_unavailable_store_is_reported_without_a_traceback(party: Peer) -> None:
    environment = {"COUCHDB_URL": "http://127.0.0.1:1", "COUCHDB_PASSWORD": "x"}
    done = heal(environment)
    assert done.returncode == 1
    assert "connection refused" in done.stderr
    assert "Traceback" not in done.stderr
