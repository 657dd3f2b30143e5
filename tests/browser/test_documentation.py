"""Tests that the documentation at ``/docs/`` is accessible, and that calls can be tried on it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import barriers
from tests.browser.live_map import LiveMap
from tests.support.service import Service

LONG = 60_000
"""Milliseconds that Swagger UI, a long script, may take on a busy machine."""


@pytest.fixture
def page(live_map: LiveMap) -> Page:
    """The documentation, with all operations listed and closed."""
    page = live_map.page
    page.goto(f"{live_map.url}docs/")
    expect(operation(page, "Spawn a zergling")).to_be_visible(timeout=LONG)
    return page


def operation(page: Page, summary: str) -> Locator:
    """The button that opens an operation."""
    return page.get_by_role("button", name=re.compile(f"{summary}$"))


def test_the_list_of_operations_has_no_barriers(page: Page) -> None:
    assert barriers(page) == []


@pytest.mark.proof
def test_an_opened_operation_has_no_barriers(page: Page) -> None:
    operation(page, "Spawn a zergling").click()
    assert barriers(page) == []


@pytest.mark.proof
def test_a_call_can_be_tried(page: Page, service: Service) -> None:
    operation(page, "Spawn a zergling").click()
    page.get_by_role("button", name="Try it out", exact=True).click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status")).to_contain_text("201")
    (zergling,) = service.call("GET", "/zerglings/").json["zerglings"]
    assert zergling["location"] == {"x": 3, "y": -4}  # as in the example
