"""Tests that the browsable API has a styled page with a usable form for each action."""

from __future__ import annotations

import re
from html import unescape
from typing import ClassVar

import pytest
from django.test import Client
from rest_framework.views import APIView

from tests.zerglings.api.browsing import BROWSER, Forms, assert_served_from_here, page
from zerglings.api.responses import describe


@pytest.fixture
def zergling_id(api: Client) -> str:
    zergling_id: str = api.post("/zerglings/").json()["zergling"]["id"]
    return zergling_id


def test_the_list_has_a_form_that_spawns(api: Client) -> None:
    found = page(api, "/zerglings/")
    form = next(form for form in found.forms if form.get("enctype") == "multipart/form-data")
    names = {field["name"] for field in found.fields}
    assert {"location.x", "location.y", "facing"} <= names
    fields = {"location.x": "2", "location.y": "-1", "facing": "E", "csrfmiddlewaretoken": "x"}
    reply = api.post(str(form["action"]), fields, headers=BROWSER)
    assert reply.status_code == 201
    assert reply.headers["Content-Type"].startswith("text/html")
    zergling = api.get("/zerglings/").json()["zerglings"][0]
    assert (zergling["location"], zergling["facing"]) == ({"x": 2, "y": -1}, "E")


def test_an_empty_spawn_form_is_accepted(api: Client) -> None:
    fields = {"location.x": "", "location.y": "", "facing": "N"}
    assert api.post("/zerglings/", fields, headers=BROWSER).status_code == 201


def test_the_page_of_a_zergling_has_forms_that_move_and_delete(
    api: Client, zergling_id: str
) -> None:
    found = page(api, f"/zerglings/{zergling_id}")
    assert "command" in {field.get("name") for field in found.fields}
    assert "DELETE" in {form.get("data-method") for form in found.forms}
    reply = api.post(f"/zerglings/{zergling_id}", {"command": "MR"}, headers=BROWSER)
    assert reply.status_code == 200
    assert "commandHistory" in reply.content.decode()
    assert api.get(f"/zerglings/{zergling_id}").json()["zergling"]["commandHistory"] == ["M", "R"]


def test_invalid_form_input_is_explained_on_the_page(api: Client, zergling_id: str) -> None:
    reply = api.post(f"/zerglings/{zergling_id}", {"command": "X"}, headers=BROWSER)
    assert reply.status_code == 400
    assert "is not a command" in reply.content.decode()
    reply = api.post("/zerglings/", {"location.x": "a", "location.y": "0"}, headers=BROWSER)
    assert reply.status_code == 400
    assert "must be an integer" in reply.content.decode()


def test_a_refused_form_is_shown_with_its_values_and_the_error(
    api: Client, zergling_id: str
) -> None:
    reply = api.post(f"/zerglings/{zergling_id}", {"command": "MX<"}, headers=BROWSER)
    text = reply.content.decode()
    assert reply.status_code == 400
    assert re.search('<input [^>]*aria-invalid="true"[^>]* value="MX&lt;">', text)
    assert re.search(r'<p id="about-command"><strong>[^<]*is not a command', text)
    reply = api.post("/zerglings/", {"location.x": "a", "facing": "W"}, headers=BROWSER)
    text = reply.content.decode()
    (x,) = (field for field in Forms(text).fields if field.get("name") == "location.x")
    assert (x["value"], x["aria-invalid"]) == ("a", "true")
    assert '<option value="W" selected>' in text


def test_refused_raw_data_stays_in_its_form(api: Client, zergling_id: str) -> None:
    reply = api.post(f"/zerglings/{zergling_id}", "L</b>", "text/plain", headers=BROWSER)
    text = reply.content.decode()
    assert reply.status_code == 400
    assert '<option value="text/plain" selected>' in text
    assert re.search(r'<textarea name="_content"[^>]*>\s*L&lt;/b&gt;</textarea>', text)
    assert "<details open>" in text


def test_an_accepted_form_is_shown_with_the_example_again(api: Client, zergling_id: str) -> None:
    reply = api.post(f"/zerglings/{zergling_id}", {"command": "L"}, headers=BROWSER)
    fields = {field.get("name"): field for field in Forms(reply.content.decode()).fields}
    assert fields["command"]["value"] == "MMRM"
    assert "aria-invalid" not in fields["command"]


def test_json_is_shown_indented(api: Client, zergling_id: str) -> None:
    text = api.get(f"/zerglings/{zergling_id}", headers=BROWSER).content.decode()
    assert re.search(r"&quot;location&quot;: \{\n", text)


def test_a_404_is_shown_in_html(api: Client) -> None:
    reply = api.get("/zerglings/nobody", headers=BROWSER)
    assert reply.status_code == 404
    assert "There is no zergling" in reply.content.decode()


def test_styles_and_scripts_are_served_by_the_service(api: Client, zergling_id: str) -> None:
    for path in ("/zerglings/", f"/zerglings/{zergling_id}"):
        assets = page(api, path).assets
        assert len(assets) > 5
        assert_served_from_here(api, assets)


def test_the_entry_page_links_to_the_zerglings(api: Client) -> None:
    text = api.get("/", headers=BROWSER).content.decode()
    assert "/zerglings" in text
    assert "<title>Overmind" in text


def test_the_root_returns_the_entry_points_as_json(api: Client) -> None:
    for accept in ("application/json", "*/*"):
        reply = api.get("/", headers={"Accept": accept})
        assert reply.headers["Content-Type"] == "application/json"
        assert reply.json()["zerglings"] == "/zerglings"


def test_a_page_describes_each_of_its_methods(api: Client, zergling_id: str) -> None:
    pages = {
        "/zerglings/": ("Zerglings", ["GET", "POST"]),
        f"/zerglings/{zergling_id}": ("Zergling", ["GET", "POST", "DELETE"]),
        f"/zerglings/{zergling_id}/history": ("History", ["GET"]),
    }
    for path, (name, methods) in pages.items():
        text = api.get(path, headers=BROWSER).content.decode()
        assert f"<h1>{name}</h1>" in text
        assert re.findall("<dt>(.*?)</dt><dd>.+?</dd>", text) == methods


def test_code_in_a_description_is_shown_as_code() -> None:
    class Look(APIView):
        """Looks at `one`."""

        action_map: ClassVar = {"post": "command"}

        def command(self) -> None:
            """Commands `M` & waits."""

    text = describe(Look(), html=True)
    assert "Looks at <code>one</code>." in text
    assert "<dt>POST</dt><dd>Commands <code>M</code> &amp; waits.</dd>" in text


def test_each_form_is_filled_with_an_example_that_works(api: Client, zergling_id: str) -> None:
    paths = ("/zerglings/", f"/zerglings/{zergling_id}")
    for path in paths:
        text = api.get(path, headers=BROWSER).content.decode()
        raw = re.search(r'<textarea name="_content"[^>]*>(.*?)</textarea>', text, re.DOTALL)
        assert raw
        reply = api.post(path, unescape(raw[1]), content_type="application/json")
        assert reply.status_code in (200, 201), reply.content
    listed = api.get("/zerglings/").json()["zerglings"]
    assert {"x": 3, "y": -4} in [zergling["location"] for zergling in listed]
    shown = api.get(f"/zerglings/{zergling_id}").json()["zergling"]
    assert shown["commandHistory"] == ["M", "M", "R", "M"]


def test_each_page_links_to_the_documentation_and_the_map(api: Client, zergling_id: str) -> None:
    for path in ("/zerglings/", f"/zerglings/{zergling_id}"):
        text = api.get(path, headers=BROWSER).content.decode()
        assert '<a href="/docs">' in text
        assert '<a href="/">' in text


@pytest.mark.parametrize(
    "fields",
    [
        {"location": "here"},
        {"location.x": "1", "location.x.y": "2"},
        {"location.": "1"},
        {"location": "here", "location.x": "1"},
        {"nonsense": "<b>"},
        {"facing": "up"},
    ],
    ids=str,
)
def test_any_refused_form_gets_a_page(api: Client, fields: dict[str, str]) -> None:
    reply = api.post("/zerglings/", fields, headers=BROWSER)
    assert reply.status_code == 400
    assert {"location.x", "facing"} <= {
        field.get("name") for field in Forms(reply.content.decode()).fields
    }


def link(text: str, label: str) -> str | None:
    """Return the URL of the link with this label, None if the page has none."""
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{label}</a>', text)
    return unescape(found[1]) if found else None


def test_a_page_of_a_list_or_history_links_to_the_next_one(api: Client, zergling_id: str) -> None:
    api.post("/zerglings/")
    api.post(f"/zerglings/{zergling_id}", "MM", content_type="text/plain")
    for path in ("/zerglings/?limit=1", f"/zerglings/{zergling_id}/history?limit=1"):
        first = api.get(path, headers=BROWSER)
        following = link(first.content.decode(), "Next page")
        assert following
        assert first.headers["Link"] == f'<{following}>; rel="next"'
        last = api.get(following, headers=BROWSER)
        assert last.status_code == 200
        assert link(last.content.decode(), "Next page") is None


def test_the_page_of_a_living_zergling_links_to_its_place_on_the_map(
    api: Client, zergling_id: str
) -> None:
    path = f"/zerglings/{zergling_id}"

    def on_the_map(path: str, method: str = "GET") -> str | None:
        reply = api.generic(method, path, headers=BROWSER)
        return link(reply.content.decode(), "Show on the map")

    assert on_the_map(path) == on_the_map(f"{path}/history") == f"/#{zergling_id}"
    assert on_the_map("/zerglings/") is None
    assert on_the_map(path, "DELETE") is None
    assert on_the_map(path) is None
