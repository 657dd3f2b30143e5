"""Where a browser signs in with a token, and out again."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from overmind_project import credentials
from overmind_project.access import configured_ring
from overmind_project.strangers import FOREIGN, NOT_KNOWN, answer, page, safe
from zerglings.exceptions import error_response


def sign_in(request: HttpRequest) -> HttpResponse:
    """Show a form that takes a token, or have the browser keep the one that was given."""
    if request.method in ("GET", "HEAD"):
        return page(request, request.GET.get("next"))
    if request.method != "POST":
        return error_response(405, "Send GET or POST.", {"Allow": "GET, HEAD, POST"})
    if not credentials.is_from_here(request):
        return error_response(FOREIGN.status, FOREIGN.sentence)
    token, onward = request.POST.get("token", "").strip(), request.POST.get("next")
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
    response = HttpResponse(status=303, headers={"Location": path, "Cache-Control": "no-store"})
    del response["Content-Type"]  # there is no content
    return response
