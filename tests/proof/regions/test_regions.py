"""Tests that regions which are apart again and again lose and duplicate nothing.

This run is short, on PouchDB Server. `make regions` runs for half an hour on Apache CouchDB.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.regions.rig import rig
from tests.proof.load.ledger import Fate
from tests.proof.regions.campaign import Campaign
from tests.proof.regions.disturbances import Pace
from tests.support.peer import Peer

logger = logging.getLogger(__name__)

ACCOUNT = ("admin", "relax")
SECONDS = 20.0
QUICK = Pace(clients=6, zerglings=10, between=(0.5, 2), cut=(0.5, 3))


@pytest.fixture
def urls(tmp_path: Path) -> Iterator[list[str]]:
    """Two servers that replicate, as the admin sees them."""
    with ExitStack() as stack:
        peers = [
            stack.enter_context(Peer.start(tmp_path / name, admin=ACCOUNT)) for name in ("a", "b")
        ]
        yield [peer.url.replace("://", f"://{':'.join(ACCOUNT)}@") for peer in peers]


@pytest.mark.alone
def test_regions_that_were_apart_become_equal_and_lose_nothing(urls: list[str]) -> None:
    seed = random.randrange(10**6)
    with rig(urls) as started:
        report = Campaign(started, random.Random(seed), QUICK).run(SECONDS)
    logger.info("seed %d\n%s", seed, "\n".join(report.lines()))
    assert report.is_clean(), "\n".join([f"seed {seed}", *report.lines()])
    assert report.strikes["east and west apart"], "the regions were never apart"
    assert report.strikes.total() > report.strikes["east and west apart"], "no service restarted"
    assert report.fates[Fate.ACKNOWLEDGED] > 20
    assert report.elsewhere > 0
    assert report.originals > 0
