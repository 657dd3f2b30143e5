"""Tests for ETags, If-Match, If-None-Match and Idempotency-Key, over both stores."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.zerglings.api.calls import FORM, command, keyed, spawn
from zerglings.api.exceptions import known_error
from zerglings.hive.mutations import PreconditionFailed, TagAltered


def sentence_of(error: Exception) -> str:
    known = known_error(error)
    assert known is not None
    return known[1]


def test_the_etag_is_the_revision_and_if_none_match_gets_a_304(api: Client) -> None:
    zergling_id = spawn(api)
    reply = api.get(f"/zerglings/{zergling_id}")
    tag = reply.headers["ETag"]
    assert tag == f'"{reply.json()["zergling"]["_rev"]}"'
    for condition in (tag, f"W/{tag}", f'"other", {tag}', f'"other",, {tag},', "*"):
        unmodified = api.get(f"/zerglings/{zergling_id}", headers={"If-None-Match": condition})
        assert (unmodified.status_code, unmodified.content) == (304, b"")
        assert unmodified.headers["ETag"] == tag
    command(api, zergling_id, '"M"')
    assert api.get(f"/zerglings/{zergling_id}", headers={"If-None-Match": tag}).status_code == 200


def test_the_html_representation_has_its_own_etag(api: Client) -> None:
    zergling_id = spawn(api)
    plain = api.get(f"/zerglings/{zergling_id}").headers["ETag"]
    html = api.get(f"/zerglings/{zergling_id}", headers={"Accept": "text/html"})
    assert html.headers["ETag"] != plain
    again = {"Accept": "text/html", "If-None-Match": html.headers["ETag"]}
    assert api.get(f"/zerglings/{zergling_id}", headers=again).status_code == 304


def test_if_match_accepts_only_the_current_revision(api: Client) -> None:
    zergling_id = spawn(api)
    first = command(api, zergling_id, "M").headers["ETag"]
    second = command(api, zergling_id, "M", **{"If-Match": first})
    assert second.status_code == 200
    for stale in (first, f"W/{first}", f'{first[:-1]}-gzip"', '"1-x"'):
        refused = command(api, zergling_id, "M", **{"If-Match": stale})
        assert refused.status_code == 412
        assert refused.json() == {"error": sentence_of(PreconditionFailed())}
    for good in ("*", f"{first}, {second.headers['ETag']}"):
        reply = command(api, zergling_id, "R", **{"If-Match": good})
        assert reply.status_code == (200 if good == "*" else 412)
    assert api.get(f"/zerglings/{zergling_id}").json()["zergling"]["commandHistory"] == [
        "M",
        "M",
        "R",
    ]


@pytest.mark.parametrize(
    "others", ['"1-a", {}', ',"1-a",, {} ,', '{}, W/"1-a"', '"1-a,b",{}', "W/{}, {}"]
)
def test_if_match_may_name_several_revisions(api: Client, others: str) -> None:
    zergling_id = spawn(api)
    current = command(api, zergling_id, "M").headers["ETag"]
    headers = {"If-Match": others.replace("{}", current)}
    assert command(api, zergling_id, "M", **headers).status_code == 200


@pytest.mark.parametrize(
    "altered",
    ['W/"{}"', '"{}-gzip"', 'W/"{}-br"', '"{}-html"', '"{}--gzip"', '"1-a", W/"{}"'],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_an_altered_etag_gets_its_own_error(api: Client, method: str, altered: str) -> None:
    zergling_id = spawn(api)
    url = f"/zerglings/{zergling_id}"
    before = api.get(url).json()
    headers = {"If-Match": altered.format(before["zergling"]["_rev"])}
    reply = api.generic(method, url, "M", FORM, headers=headers)
    assert reply.status_code == 412
    assert reply.json() == {"error": sentence_of(TagAltered())}
    assert reply.json() != {"error": sentence_of(PreconditionFailed())}
    assert api.get(url).json() == before


@pytest.mark.parametrize("malformed", ["{}", "abc", '"', '"{}', "W/", "'{}'", "", '"{}" x'])
def test_a_malformed_if_none_match_is_ignored(api: Client, malformed: str) -> None:
    zergling_id = spawn(api)
    revision = api.get(f"/zerglings/{zergling_id}").json()["zergling"]["_rev"]
    headers = {"If-None-Match": malformed.format(revision)}
    for path in (f"/zerglings/{zergling_id}", "/schema/", "/zerglings/"):
        assert api.get(path, headers=headers).status_code == 200


def test_delete_honours_if_match(api: Client) -> None:
    zergling_id = spawn(api)
    current = command(api, zergling_id, "M").headers["ETag"]
    url = f"/zerglings/{zergling_id}"
    assert api.delete(url, headers={"If-Match": '"9-no"'}).status_code == 412
    assert api.get(url).status_code == 200
    assert api.delete(url, headers={"If-Match": current}).status_code == 204


def test_a_command_repeated_with_its_key_is_applied_once(api: Client) -> None:
    path = f"/zerglings/{spawn(api)}"
    first = keyed(api, path, "k")
    again = keyed(api, path, "k", '{"command": ["M"]}')
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json() == api.get(path).json()
    other = keyed(api, path, "k", "L")
    assert (other.status_code, list(other.json())) == (422, ["error"])
    assert "Idempotency-Key" in other.json()["error"]
    assert api.get(path).json() == first.json()


def test_a_key_is_checked_before_if_match(api: Client) -> None:
    path = f"/zerglings/{spawn(api)}"
    tag = api.get(path).headers["ETag"]
    both = {"Idempotency-Key": "k", "If-Match": tag}
    for _ in range(2):
        assert api.post(path, data="M", content_type=FORM, headers=both).status_code == 200
    other = both | {"Idempotency-Key": "other"}
    assert api.post(path, data="M", content_type=FORM, headers=other).status_code == 412


def test_a_spawn_repeated_with_its_key_spawns_once(api: Client) -> None:
    first = keyed(api, "/zerglings/", "k")
    again = keyed(api, "/zerglings/", "k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert len(api.get("/zerglings/").json()["zerglings"]) == 1
    assert keyed(api, "/zerglings/", "k", '{"facing":"S"}').status_code == 422
    api.delete(first.headers["Location"])
    assert keyed(api, "/zerglings/", "k").status_code == 404


@pytest.mark.parametrize("key", ["", "two words", "x" * 129, "caf\u00e9", "a\tb"])
def test_a_malformed_key_is_refused(api: Client, key: str) -> None:
    zergling_id = spawn(api)
    for path in ("/zerglings/", f"/zerglings/{zergling_id}"):
        assert keyed(api, path, key).status_code == 400
    assert len(api.get("/zerglings/").json()["zerglings"]) == 1
    assert "commandHistory" not in api.get(f"/zerglings/{zergling_id}").json()["zergling"]


@pytest.mark.parametrize("key", ["!", "x" * 128, '"quoted, with=signs"'.replace(" ", "")])
def test_all_visible_ascii_characters_are_allowed_in_a_key(api: Client, key: str) -> None:
    path = f"/zerglings/{spawn(api)}"
    assert keyed(api, path, key).json() == keyed(api, path, key).json()
