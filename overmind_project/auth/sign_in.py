"""Where a browser signs in with a token, and out again."""

from __future__ import annotations

from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from overmind_project.auth import credentials
from overmind_project.auth.access import configured_ring
from overmind_project.auth.denials import FOREIGN, NOT_KNOWN, answer, page, safe
from zerglings.api.exceptions import error_response

LIMIT = 4096
"""Largest form, in bytes: a token has up to about 1,000, and the path to go on to has room."""


def sign_in(request: HttpRequest) -> HttpResponse:
    """Show a form that takes a token, or have the browser keep the one that was given."""
    if request.method in ("GET", "HEAD"):
        return page(request, request.GET.get("next"))
    if request.method != "POST":
        return error_response(405, "Send GET or POST.", {"Allow": "GET, HEAD, POST"})
    if not credentials.is_from_here(request):
        return error_response(FOREIGN.status, FOREIGN.sentence)
    if request.content_type != "application/x-www-form-urlencoded":
        return error_response(400, "Send a form: application/x-www-form-urlencoded.")
    if len(request.body) > LIMIT:
        return error_response(413, f"The form is longer than {LIMIT} bytes.")
    # Django's own reader of forms takes many fields for an attack, and says so in the log.
    fields = dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
    token, onward = fields.get("token", "").strip(), fields.get("next")
    ring = configured_ring()
    if ring is not None and ring.find(token) is None:
        return answer(request, NOT_KNOWN, onward)
    response = _see_other(safe(onward))
    if ring is not None:
        credentials.keep(request, response, token)
    return response


def sign_out(request: HttpRequest) -> HttpResponse:
    """Have the browser forget its token."""
    if request.method != "POST":
        return error_response(405, "Send POST.", {"Allow": "POST"})
    if not credentials.is_from_here(request):
        return error_response(FOREIGN.status, FOREIGN.sentence)
    response = _see_other(reverse("sign-in"))
    credentials.forget(response)
    return response


def _see_other(path: str) -> HttpResponse:
    response = HttpResponse(status=303, headers={"Location": path})
    del response["Content-Type"]  # there is no content
    return response
