"""Requests HTML pages as a browser does, and finds the forms and assets in them."""

from __future__ import annotations

from collections.abc import Iterable
from html.parser import HTMLParser

from django.test import Client

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Forms(HTMLParser):
    """The forms of a page, their fields, and the URLs of its styles and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[dict[str, str | None]] = []
        self.fields: list[dict[str, str | None]] = []
        self.assets: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self.forms.append(attributes)
        elif tag in ("input", "select", "textarea"):
            self.fields.append(attributes)
        asset = attributes.get("src") or (attributes.get("href") if tag == "link" else None)
        if asset:
            self.assets.append(asset)


def page(api: Client, path: str) -> Forms:
    reply = api.get(path, headers=BROWSER)
    assert reply.status_code == 200
    return Forms(reply.content.decode())


def assert_served_from_here(api: Client, assets: Iterable[str]) -> None:
    for asset in assets:
        assert asset.startswith("/static/")
        reply = api.get(asset)
        assert reply.status_code == 200, asset
        reply.close()
