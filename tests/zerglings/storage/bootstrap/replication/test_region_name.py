"""Tests for the warning that the lag is not measured: there are peers, but no OVERMIND_REGION."""

from __future__ import annotations

import pytest

from tests.support.manage import python
from tests.zerglings.storage.bootstrap.replication.region import NOWHERE, PASSWORD, Region


def warnings(region: Region, *options: str, **environment: str) -> list[str]:
    peers = {
        "COUCHDB_PEERS": f"east={NOWHERE}",
        "COUCHDB_PEERS_USERNAME": region.username,
        "COUCHDB_PEERS_PASSWORD": PASSWORD,
    }
    given = region.site.environment | peers | environment
    done = python("manage.py", "bootstrap_couch", *options, **given)
    lines = [line for line in done.stdout.splitlines() if line.startswith("replicate: ")]
    assert lines, done.stderr
    return [line for line in lines if line.startswith("replicate: warning: OVERMIND_REGION ")]


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_peers_without_a_name_of_this_region_are_one_warning(
    region: Region, options: tuple[str, ...]
) -> None:
    region.bootstrap(east=NOWHERE)
    assert len(warnings(region, *options)) == 1
    assert warnings(region, *options, OVERMIND_REGION="north") == []
    assert warnings(region, *options, COUCHDB_PEERS="") == []
