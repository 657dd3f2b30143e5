"""Tests of the API while the merge of a zergling is on its way from another region."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.support.backends import Backend
from tests.support.rivals import plant_merged
from tests.zerglings.api.calls import command, spawn


@pytest.fixture
def backend(couch: Backend) -> Backend:
    """Only CouchDB has rival revisions."""
    return couch


def test_reads_get_the_last_state_and_changes_get_503(api: Client, backend: Backend) -> None:
    url = f"/zerglings/{spawn(api)}"
    shown = command(api, url.rpartition("/")[2], "M").json()
    revision = shown["zergling"]["_rev"]
    plant_merged(backend, shown["zergling"]["id"], after=revision)
    reply = api.get(url)
    assert (reply.status_code, reply.json()) == (200, shown)
    assert reply.headers["ETag"] == f'"{revision}"'
    assert api.get(f"{url}/history").json() == {"commandHistory": ["M"]}
    for refused in (command(api, shown["zergling"]["id"], "M"), api.delete(url)):
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert "merged in another region" in refused.json()["error"]
    assert api.get(url).json() == shown


def test_a_zergling_that_was_dead_here_gets_404(api: Client, backend: Backend) -> None:
    url = f"/zerglings/{spawn(api)}"
    api.delete(url)
    database = backend.environment["COUCHDB_DATABASE"]
    dead = backend.server.ask("GET", database, url.rpartition("/")[2])
    plant_merged(backend, dead["_id"], after=dead["_rev"])
    assert api.get(url).status_code == 404
    assert command(api, dead["_id"], "M").status_code == 404
    assert api.delete(url).status_code == 404
