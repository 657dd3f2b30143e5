"""`manage.py heal` as an operator runs it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping

import pytest

from tests.support.backends import Backend, CouchDBServer
from tests.support.documents import SOON, leaves
from tests.support.peer import Peer
from tests.support.rivals import plant
from tests.support.service import ROOT, clean_environment
from tests.support.site import Site
from zerglings.hive import Hive
from zerglings.zergling import Pose, Request, Zergling

TIMEOUT = 60.0


def heal(environment: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "heal", *options],
        cwd=ROOT,
        env=clean_environment() | dict(environment),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    return {
        words: int(number)
        for number, words in re.findall(r"^ *(\d+)  (.+)$", done.stdout, re.MULTILINE)
    }


def old_death(hive: Hive) -> Zergling:
    zergling = hive.spawn(Pose())
    hive.command(zergling.id, Request.death(time.time() - 40 * 24 * 60 * 60))
    return zergling


def test_the_embedded_store_is_tidied(sqlite: Backend) -> None:
    store = sqlite.open()
    dead, living = old_death(Hive(store)), Hive(store).spawn(Pose())
    done = heal(sqlite.environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert counts(done) == {
        "zerglings with rival revisions merged": 0,
        "merged revisions purged": 0,
        "long dead removed": 1,
        "unreachable parts of histories removed": 0,
    }
    assert leaves(store, dead.id) == []
    assert leaves(store, living.id)
    store.close()


def test_the_grace_of_the_dead_can_be_chosen(sqlite: Backend) -> None:
    store = sqlite.open()
    old_death(Hive(store))
    assert counts(heal(sqlite.environment, "--grace", "50"))["long dead removed"] == 0
    by_setting = sqlite.environment | {"OVERMIND_HEAL_GRACE": "41"}
    assert counts(heal(by_setting))["long dead removed"] == 0
    assert counts(heal(sqlite.environment, "--grace", "39.5"))["long dead removed"] == 1
    store.close()


@pytest.mark.parametrize("grace", ["-1", "soon", "1e9", "nan"])
def test_a_bad_grace_is_refused(sqlite: Backend, grace: str) -> None:
    done = heal(sqlite.environment, f"--grace={grace}")
    assert done.returncode == 2
    assert "not a number of days" in done.stderr


def with_a_rival(backend: Backend, hive: Hive) -> Zergling:
    zergling = hive.command(hive.spawn(Pose()).id, Request.command("M"))
    hive.command(zergling.id, Request.command("L"))
    rival = zergling.apply(Request("rival", ("R",)))
    plant(backend, rival, after=zergling.revision or "")
    return zergling


def knows_clusters(server: CouchDBServer) -> bool:
    """Whether it is CouchDB 2 or later: others have no admin's questions, and cannot purge."""
    client = server.client()
    welcome = client.request("GET", [], timeout=SOON)
    client.close()
    return "couchdb" in welcome and not welcome["version"].startswith("1.")


def test_whoever_is_no_admin_of_a_cluster_only_merges(site: Site) -> None:
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


def test_an_admin_purges_what_merging_left(couch: Backend, couchdb: CouchDBServer) -> None:
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


def test_a_store_that_is_away_is_said_in_one_line(party: Peer) -> None:
    environment = {"COUCHDB_URL": "http://127.0.0.1:1", "COUCHDB_PASSWORD": "x"}
    done = heal(environment)
    assert done.returncode == 1
    assert "connection refused" in done.stderr
    assert "Traceback" not in done.stderr
