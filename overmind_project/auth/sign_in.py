"""The sign-in and sign-out views for browsers."""

from __future__ import annotations

from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from overmind_project.auth import credentials
from overmind_project.auth.access import configured_tokens
from overmind_project.auth.denials import (
    FOREIGN,
    NOT_KNOWN,
    denial_response,
    safe_path,
    sign_in_page,
)
from zerglings.api.exceptions import error_response

MAX_FORM_BYTES = 4096
"""Maximum size of the form in bytes: a token of about 1,000, and the path of the next page."""


def sign_in(request: HttpRequest) -> HttpResponse:
    """Return the sign-in form, or check the submitted token and store it in a cookie."""
    if request.method in ("GET", "HEAD"):
        return sign_in_page(request, request.GET.get("next"))
    if request.method != "POST":
        return error_response(405, "Send GET or POST.", {"Allow": "GET, HEAD, POST"})
    if not credentials.is_same_origin(request):
        return error_response(FOREIGN.status, FOREIGN.sentence)
    if request.content_type != "application/x-www-form-urlencoded":
        return error_response(400, "Send a form: application/x-www-form-urlencoded.")
    if len(request.body) > MAX_FORM_BYTES:
        return error_response(413, f"The form is longer than {MAX_FORM_BYTES} bytes.")
    # Do not use request.POST: Django logs a form with many fields as an attack.
    fields = dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
    token, next_path = fields.get("token", "").strip(), fields.get("next")
    tokens = configured_tokens()
    if tokens is not None and tokens.find(token) is None:
        return denial_response(request, NOT_KNOWN, next_path)
    response = _see_other(safe_path(next_path))
    if tokens is not None:
        credentials.set_token_cookie(request, response, token)
    return response


def sign_out(request: HttpRequest) -> HttpResponse:
    """Delete the token from the browser."""
    if request.method != "POST":
        return error_response(405, "Send POST.", {"Allow": "POST"})
    if not credentials.is_same_origin(request):
        return error_response(FOREIGN.status, FOREIGN.sentence)
    response = _see_other(reverse("sign-in"))
    credentials.delete_token_cookies(response)
    return response


def _see_other(path: str) -> HttpResponse:
    response = HttpResponse(status=303, headers={"Location": path})
    del response["Content-Type"]  # the response has no body
    return response
