"""Tests for the bulk endpoints: each item has its own result, whatever the others' results."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.test import Client

from zerglings.hive.bulk import LIMIT

CURL = "application/x-www-form-urlencoded"


def post(api: Client, path: str, body: object, key: str | None = None) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return api.post(path, text, content_type=CURL, headers=headers)


def spawn(api: Client, body: object, key: str | None = None) -> list[dict[str, Any]]:
    reply = post(api, "/swarm/spawn", body, key)
    assert reply.status_code == 200, reply.content
    results: list[dict[str, Any]] = reply.json()["results"]
    return results


def ids_of(results: list[dict[str, Any]]) -> list[str]:
    return [result["zergling"]["id"] for result in results]


def command(api: Client, commands: list[Any], key: str | None = None) -> list[dict[str, Any]]:
    reply = post(api, "/swarm/commands", {"commands": commands}, key)
    assert reply.status_code == 200, reply.content
    results: list[dict[str, Any]] = reply.json()["results"]
    return results


def order(zergling_id: str, words: object) -> dict[str, Any]:
    return {"id": zergling_id, "command": words}


def seen(api: Client, zergling_id: str) -> dict[str, Any]:
    zergling: dict[str, Any] = api.get(f"/zerglings/{zergling_id}").json()["zergling"]
    return zergling


def test_the_requested_number_of_zerglings_is_spawned(api: Client) -> None:
    results = spawn(api, {"count": 150, "location": {"x": 3, "y": -4}, "facing": "E"})
    assert len(set(ids_of(results))) == 150
    for result in results:
        assert result["status"] == 201
        assert set(result["zergling"]) == {"id", "location", "facing"}
        assert (result["zergling"]["location"], result["zergling"]["facing"]) == (
            {"x": 3, "y": -4},
            "E",
        )
    listed = api.get("/zerglings/").json()["zerglings"]
    assert listed == sorted((r["zergling"] for r in results), key=lambda shown: str(shown["id"]))


def test_zerglings_are_spawned_at_the_origin_by_default(api: Client) -> None:
    (result,) = spawn(api, {"count": 1})
    assert (result["zergling"]["location"], result["zergling"]["facing"]) == ({"x": 0, "y": 0}, "N")


def test_each_item_has_its_own_result_and_errors_affect_no_other(api: Client) -> None:
    one, other, dead = ids_of(spawn(api, {"count": 3}))
    api.delete(f"/zerglings/{dead}")
    results = command(
        api,
        [
            order(one, "MMR"),
            order(other, "X"),
            order("nobody", "M"),
            order(str(uuid.uuid4()), "M"),
            order(dead, "M"),
            7,
            {"id": other},
            order(other, "M") | {"more": 1},
            order(other, ["M", "L"]),
            {"id": 5, "command": "M"},
            order(one, "M"),
        ],
    )
    statuses = [200, 400, 404, 404, 404, 400, 400, 400, 200, 400, 200]
    assert [result["status"] for result in results] == statuses
    assert all(set(result) == {"status", "error"} for result in results if result["status"] != 200)
    now = seen(api, one)
    assert now["commandHistory"] == ["M", "M", "R", "M"]
    assert results[-1]["zergling"] == {
        "id": one,
        "location": {"x": 1, "y": 2},
        "facing": "E",
        "commandCount": 4,
        "_rev": now["_rev"],
    }
    assert seen(api, other)["commandHistory"] == ["M", "L"]


def test_a_step_over_the_edge_fails_only_its_own_item(api: Client) -> None:
    edge = 2**53 - 1
    (there,) = ids_of(spawn(api, {"count": 1, "location": {"x": 0, "y": edge}}))
    (here,) = ids_of(spawn(api, {"count": 1}))
    results = command(api, [order(there, "M"), order(here, "M"), order(there, "R")])
    assert [result["status"] for result in results] == [400, 200, 200]
    assert "grid ends" in results[0]["error"]
    assert seen(api, there)["commandHistory"] == ["R"]


def test_commands_to_one_zergling_are_applied_in_order(api: Client) -> None:
    (zergling_id,) = ids_of(spawn(api, {"count": 1}))
    words = "MRMLMMRRLM" * 20
    results = command(api, [order(zergling_id, word) for word in words])
    assert [result["zergling"]["commandCount"] for result in results] == list(range(1, 201))
    history = api.get(f"/zerglings/{zergling_id}/history").json()["commandHistory"]
    assert "".join(history) == words


def test_a_repeated_call_with_a_key_has_no_second_effect(api: Client) -> None:
    first = spawn(api, {"count": 70, "facing": "S"}, key="k")
    assert spawn(api, {"count": 70, "facing": "S"}, key="k") == first
    assert len(api.get("/zerglings/").json()["zerglings"]) == 70
    orders = [order(id_, "M") for id_ in ids_of(first)] * 2
    assert post(api, "/swarm/commands", {"commands": orders}, "k").status_code == 422
    done = command(api, orders, key="k2")
    again = command(api, orders, key="k2")
    assert [result["zergling"]["commandCount"] for result in again] == [2] * 140
    assert again[70:] == done[70:]


def test_a_known_key_with_another_body_is_refused_and_changes_nothing(api: Client) -> None:
    ids = ids_of(spawn(api, {"count": 2}, key="k"))
    for body in ({"count": 3}, {"count": 2, "facing": "E"}):
        reply = post(api, "/swarm/spawn", body, "k")
        assert (reply.status_code, list(reply.json())) == (422, ["error"])
    command(api, [order(ids[0], "M")], key="k2")
    for orders in ([order(ids[0], "R")], [order(ids[1], "M")], [order(ids[0], "M")] * 2):
        assert post(api, "/swarm/commands", {"commands": orders}, "k2").status_code == 422
    assert len(api.get("/zerglings/").json()["zerglings"]) == 2
    assert seen(api, ids[0])["commandHistory"] == ["M"]
    assert "commandHistory" not in seen(api, ids[1])


def test_a_call_too_long_to_be_repeated_is_refused_with_a_key(api: Client) -> None:
    one, other = ids_of(spawn(api, {"count": 2}))
    for orders in ([order(one, "M" * 1000), order(one, "M")], [order(one, "R")] * 1001):
        reply = post(api, "/swarm/commands", {"commands": orders}, "k")
        assert (reply.status_code, list(reply.json())) == (400, ["error"])
    assert "commandHistory" not in seen(api, one)
    most = [order(one, "R" * 1000), order(other, "R" * 1000)]
    done = command(api, most, key="k")
    assert command(api, most, key="k") == done
    results = command(api, [order(one, "R")] * 1001)
    assert results[-1]["zergling"]["commandCount"] == 2001


def test_keys_of_bulk_calls_and_of_single_commands_are_separate(api: Client) -> None:
    (zergling_id,) = ids_of(spawn(api, {"count": 1}))
    command(api, [order(zergling_id, "M")], key="k")
    path = f"/zerglings/{zergling_id}"
    reply = api.post(path, "R", content_type=CURL, headers={"Idempotency-Key": "k"})
    assert reply.json()["zergling"]["commandHistory"] == ["M", "R"]


ORDER = order("x", "M")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/swarm/spawn", ""),
        ("/swarm/spawn", "M"),
        ("/swarm/spawn", "[]"),
        ("/swarm/spawn", {}),
        ("/swarm/spawn", {"count": 0}),
        ("/swarm/spawn", {"count": -1}),
        ("/swarm/spawn", {"count": True}),
        ("/swarm/spawn", {"count": 1.5}),
        ("/swarm/spawn", {"count": "1"}),
        ("/swarm/spawn", {"count": None}),
        ("/swarm/spawn", {"count": LIMIT + 1}),
        ("/swarm/spawn", {"count": 1, "facing": "Q"}),
        ("/swarm/spawn", {"count": 1, "location": {"x": 1}}),
        ("/swarm/spawn", {"count": 1, "colour": "red"}),
        ("/swarm/commands", ""),
        ("/swarm/commands", "{"),
        ("/swarm/commands", [ORDER]),
        ("/swarm/commands", {}),
        ("/swarm/commands", {"commands": []}),
        ("/swarm/commands", {"commands": ORDER}),
        ("/swarm/commands", {"commands": "M"}),
        ("/swarm/commands", {"commands": [ORDER] * (LIMIT + 1)}),
        ("/swarm/commands", {"commands": [ORDER], "more": 1}),
    ],
)
def test_an_invalid_call_is_rejected_as_a_whole(api: Client, path: str, body: object) -> None:
    reply = post(api, path, body)
    assert (reply.status_code, list(reply.json())) == (400, ["error"])
    assert api.get("/zerglings/").json() == {}


def test_an_invalid_key_is_rejected(api: Client) -> None:
    assert post(api, "/swarm/spawn", {"count": 1}, "with space").status_code == 400
    assert api.get("/zerglings/").json() == {}


@pytest.mark.parametrize("path", ["/swarm/spawn", "/swarm/commands"])
@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_methods_other_than_post_are_not_allowed(api: Client, path: str, method: str) -> None:
    reply = getattr(api, method)(path)
    assert (reply.status_code, list(reply.json())) == (405, ["error"])


@pytest.mark.parametrize("path", ["/swarm/spawn/", "/swarm/commands/"])
def test_the_final_slash_changes_nothing(api: Client, path: str) -> None:
    assert post(api, path, {}).status_code == 400


def test_the_commands_page_has_a_json_form_with_an_example(api: Client) -> None:
    text = api.get("/swarm/commands", headers={"Accept": "text/html"}).content.decode()
    assert "not currently supported" not in text
    assert "&quot;commands&quot;: [" in text, "the form is filled with an example"


def test_the_spawn_page_has_a_form_for_browsers(api: Client) -> None:
    html = {"Accept": "text/html"}
    page = api.get("/swarm/spawn", headers=html)
    assert page.status_code == 405
    assert 'name="count"' in page.content.decode()
    reply = api.post("/swarm/spawn", {"count": "3", "location.x": "2", "location.y": ""})
    assert reply.status_code == 400
    reply = api.post(
        "/swarm/spawn", {"count": "3", "location.x": "2", "location.y": "1"}, headers=html
    )
    assert reply.status_code == 200
    assert len(api.get("/zerglings/").json()["zerglings"]) == 3
