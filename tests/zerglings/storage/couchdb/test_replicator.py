"""Tests for CouchDB's replicator that docs/bootstrap.md and the step ``replicate`` rely on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.apache import PASSWORD, Server
from tests.support.waiting import wait_until

SECRET = "migrate"


@pytest.fixture
def replicator(server: Server) -> Iterator[str]:
    """The path of a new replicator database: CouchDB treats any name with this ending so."""
    path = quote(f"overmind-test-{uuid.uuid4().hex[:12]}/_replicator", safe="")
    server.ask("PUT", path).raise_for_status()
    yield path
    server.ask("DELETE", path).raise_for_status()


def replication(**more: Any) -> dict[str, Any]:
    """Return a replication from a port where no server is."""
    basic = {"basic": {"username": "overmind-peer", "password": SECRET}}
    source, target = (
        {"url": f"http://127.0.0.1:1/{name}", "auth": basic} for name in ("source", "target")
    )
    return {"source": source, "target": target, "continuous": True} | more


def seen(server: Server, path: str, auth: tuple[str, str] | None) -> tuple[int, bool]:
    """Return the status of the answer, and whether it contains the password."""
    answer = server.ask("GET", path, auth=auth)
    return answer.status_code, SECRET in answer.text


def test_only_admins_see_replications_by_default(
    server: Server, account: str, replicator: str
) -> None:
    server.ask("PUT", f"{replicator}/a", json=replication()).raise_for_status()
    for path in (f"{replicator}/a", f"{replicator}/_all_docs?include_docs=true"):
        assert seen(server, path, server.admin) == (200, True)
        assert seen(server, path, (account, PASSWORD)) == (403, False)
        assert seen(server, path, None) == (401, False)


def test_the_state_of_replications_is_for_admins_and_has_no_password(
    server: Server, account: str, replicator: str
) -> None:
    server.ask("PUT", f"{replicator}/a", json=replication()).raise_for_status()
    path = f"_scheduler/docs/{replicator}/a"
    wait_until(lambda: seen(server, path, server.admin) == (200, False), "CouchDB knows it")
    assert seen(server, path, (account, PASSWORD)) == (401, False)
    assert seen(server, path, None) == (401, False)


def test_members_see_a_password_only_in_their_own_replications(
    server: Server, account: str, replicator: str
) -> None:
    server.ask("PUT", f"{replicator}/_security", json={"members": {"names": [account]}})
    member = account, PASSWORD
    for id_, more, is_shown in (("admins", {}, False), ("own", {"owner": account}, True)):
        server.ask("PUT", f"{replicator}/{id_}", json=replication(**more)).raise_for_status()
        for path in (f"{replicator}/{id_}", f"{replicator}/{id_}?open_revs=all"):
            assert seen(server, path, member) == (200, is_shown)
    found = server.ask("GET", f"{replicator}/admins").json()
    assert found["owner"] == server.admin[0], "the writer, unless the document names another"


def test_admins_of_the_database_see_all_passwords(
    server: Server, account: str, replicator: str
) -> None:
    server.ask("PUT", f"{replicator}/_security", json={"admins": {"names": [account]}})
    server.ask("PUT", f"{replicator}/a", json=replication()).raise_for_status()
    assert seen(server, f"{replicator}/a", (account, PASSWORD)) == (200, True)


def test_a_failed_replication_starts_again_when_its_document_is_written(
    server: Server, replicator: str
) -> None:
    def state(id_: str) -> object:
        answer = server.ask("GET", f"_scheduler/docs/{replicator}/{id_}")
        return answer.json().get("state") if answer.ok else None

    def put(id_: str, **more: Any) -> None:
        path = f"{replicator}/{id_}"
        server.ask("PUT", path, json=replication(**more)).raise_for_status()

    def revision(id_: str) -> str:
        return str(server.ask("GET", f"{replicator}/{id_}").json()["_rev"])

    put("first")
    wait_until(lambda: state("first") is not None, "the first has been noticed")
    put("second")
    wait_until(lambda: state("second") == "failed", "the second is the same replication")
    server.ask("DELETE", f"{replicator}/first", params={"rev": revision("first")})
    wait_until(lambda: state("first") is None, "the first has ended")
    assert state("second") == "failed"
    put("second", _rev=revision("second"))
    wait_until(lambda: state("second") not in (None, "failed"), "the second runs")


def state_of(server: Server, replicator: str, id_: str) -> dict[str, Any]:
    answer = server.ask("GET", f"_scheduler/docs/{replicator}/{id_}")
    return dict(answer.json()) if answer.ok else {}


def test_every_failure_of_a_replication_is_crashing(
    server: Server, database: str, account: str, replicator: str
) -> None:
    """Only the text of the error tells a wrong password from a source that is down."""
    own = f"http://127.0.0.1:{server.port}/{database}"
    basic = {"basic": dict(zip(("username", "password"), server.admin, strict=True))}
    wrong = {"basic": {"username": account, "password": "wrong"}}
    sources = {
        "down": {"url": "http://127.0.0.1:1/source", "auth": basic},
        "missing": {"url": f"{own}-missing", "auth": basic},
        "refused": {"url": own, "auth": wrong},
    }
    for id_, source in sources.items():
        target = {"url": f"{own}-{id_}", "auth": basic}
        document = replication(source=source, target=target, retries_per_request=1)
        server.ask("PUT", f"{replicator}/{id_}", json=document).raise_for_status()
    for id_ in sources:
        wait_until(
            lambda id_=id_: state_of(server, replicator, id_).get("state") == "crashing",  # type: ignore[misc]
            f"{id_} is crashing",
        )
        assert state_of(server, replicator, id_)["info"]["error"]


def test_the_same_replication_by_another_user_runs_beside_the_first(
    server: Server, replicator: str
) -> None:
    for name in ("ann", "bob"):
        document = replication()
        for end in ("source", "target"):
            document[end]["auth"] = {"basic": {"username": name, "password": SECRET}}
        server.ask("PUT", f"{replicator}/{name}", json=document).raise_for_status()
    for name in ("ann", "bob"):
        wait_until(
            lambda name=name: (  # type: ignore[misc]
                state_of(server, replicator, name).get("state")
                in ("running", "pending", "crashing")
            ),
            f"the replication of {name} is accepted",
        )


def test_refused_documents_are_counted_in_the_running_task_and_not_sent_again(
    server: Server, database: str
) -> None:
    """After a new start only ``/_active_tasks`` has the number, the scheduler has none.

    Without the target's checkpoint everything is sent again.
    """
    own, target = f"http://127.0.0.1:{server.port}/{database}", f"{database}-target"
    basic = {"basic": dict(zip(("username", "password"), server.admin, strict=True))}
    ends = {
        "source": {"url": own, "auth": basic},
        "target": {"url": f"{own}-target", "auth": basic},
    }

    def start() -> str:
        answer = server.ask("POST", "_replicate", json=ends | {"continuous": True})
        return str(answer.json()["_local_id"])

    def stop() -> None:
        answer = server.ask("POST", "_replicate", json=ends | {"continuous": True, "cancel": True})
        answer.raise_for_status()

    def refused(job: str) -> object:
        tasks = server.ask("GET", "_active_tasks").json()
        found = [each for each in tasks if each.get("replication_id") == job]
        return found[0]["doc_write_failures"] if found else None

    server.ask("PUT", target).raise_for_status()
    try:
        refusal = {"validate_doc_update": "function() { throw({forbidden: 'no'}) }"}
        design = server.ask("PUT", f"{target}/_design/no", json=refusal).json()
        server.ask("PUT", f"{database}/a", json={}).raise_for_status()
        job = start()
        wait_until(lambda: refused(job) == 1, "the document has been refused")
        stop()
        assert start() == job
        wait_until(lambda: refused(job) == 1, "the number is that of before")
        assert server.ask("GET", f"_scheduler/jobs/{job}").json()["info"] is None
        stop()
        server.ask("DELETE", f"{target}/_design/no", params={"rev": design["rev"]})
        checkpoint = f"{target}/_local/{job.removesuffix('+continuous')}"
        server.ask("DELETE", checkpoint).raise_for_status()
        start()
        wait_until(lambda: server.ask("GET", f"{target}/a").ok, "it is sent again")
        assert refused(job) == 0
        stop()
    finally:
        server.ask("DELETE", target).raise_for_status()
