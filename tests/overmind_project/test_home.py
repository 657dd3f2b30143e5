"""Tests for the service's root: a page for browsers, entry points for other clients."""

from __future__ import annotations

import re

from django.contrib.staticfiles import finders
from django.test import Client

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_programs_get_entry_points_that_exist(api: Client) -> None:
    reply = api.get("/")
    assert reply.headers["Content-Type"] == "application/json"
    entries = reply.json()
    assert {"zerglings", "health"} <= set(entries)
    for path in (entries["zerglings"], entries["health"]):
        assert api.get(path).status_code == 200


def test_the_page_uses_only_its_own_files(api: Client) -> None:
    reply = api.get("/", headers=BROWSER)
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    page = reply.content.decode()
    for forbidden in (r"<style", r"<script(?![^>]* src=)", r"\sstyle=", r"\son\w+=", r"https?:"):
        assert not re.search(forbidden, page), forbidden
    for path in re.findall(r'(?:src|href)="/static/([^"]+)"', page):
        assert finders.find(path), path
