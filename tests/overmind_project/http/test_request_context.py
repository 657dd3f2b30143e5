"""Tests that one object carries the state of a request."""

from __future__ import annotations

from typing import Any

from overmind_project.http.request_context import begin_context, context_of
from zerglings.caller import Caller, caller_of


def test_every_part_of_the_service_finds_the_same_context() -> None:
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET"}
    context = begin_context(environ, "192.0.2.1")
    assert context_of(environ) is context
    assert caller_of(environ) is None
    context.caller = Caller("anna", may_write=True, is_signed_in=False, is_still_allowed=bool)
    assert caller_of(environ) is context.caller


def test_a_request_without_our_middleware_gets_a_context() -> None:
    environ: dict[str, Any] = {"REQUEST_METHOD": "BREW", "REMOTE_ADDR": "192.0.2.1"}
    assert caller_of(environ) is None
    context = context_of(environ)
    assert (context.method, context.client) == ("other", "192.0.2.1")
    assert context_of(environ) is context
