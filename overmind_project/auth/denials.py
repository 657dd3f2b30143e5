"""401 and 403 responses, and the sign-in page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme

from overmind_project.auth.access import configured_tokens
from zerglings.api.browsable import PAGE_CSP
from zerglings.api.exceptions import error_response
from zerglings.api.negotiation import prefers_html

_CHALLENGE = 'Bearer realm="overmind"'
_LOCAL_PATH = re.compile(r"/[!-~]*")


@dataclass(frozen=True, slots=True)
class Denial:
    """A 401 or 403 response.

    Args:
        status: the HTTP status.
        sentence: the error message.
        challenge: the `WWW-Authenticate` header
            (https://www.rfc-editor.org/rfc/rfc6750#section-3).
    """

    status: int
    sentence: str
    challenge: str | None = None


ANONYMOUS = Denial(
    401,
    "Send a token, as in Authorization: Bearer <token>, or sign in at "
    f"{settings.OVERMIND_PATH_PREFIX}/sign-in.",
    _CHALLENGE,
)
NOT_KNOWN = Denial(
    401,
    "This token is not known here, or no longer valid: send another one, or sign in again.",
    f'{_CHALLENGE}, error="invalid_token"',
)
READ_ONLY = Denial(
    403,
    "This token may only read: changes need a token with the scope write.",
    f'{_CHALLENGE}, error="insufficient_scope", scope="write"',
)
FOREIGN = Denial(
    403,
    "This request came from another site, or from no page at all: use the pages of this service.",
)


def denial_response(request: HttpRequest, denial: Denial, next_path: str | None) -> HttpResponse:
    """Return the response to a denied request: the sign-in page for a browser, else a JSON error.

    Args:
        request: the denied request.
        denial: the reason.
        next_path: the page to open after signing in.
    """
    if prefers_html(request.META.get("HTTP_ACCEPT")):
        response = sign_in_page(request, next_path, denial)
    else:
        response = error_response(denial.status, denial.sentence)
    patch_vary_headers(response, ("Accept",))
    if denial.challenge is not None:
        response["WWW-Authenticate"] = denial.challenge
    return response


def sign_in_page(
    request: HttpRequest, next_path: str | None, denial: Denial | None = None
) -> HttpResponse:
    """Return the page with the sign-in form.

    Args:
        request: the request to answer.
        next_path: the page to open after signing in.
        denial: why this page replaces the requested one; None if the user asked for this page.
    """
    context = {
        "next_path": safe_path(next_path),
        "problem": "" if denial in (None, ANONYMOUS) else denial,
        "is_open": configured_tokens() is None,
    }
    text = render_to_string("zerglings/sign_in.html", context, request)
    headers = {"Content-Security-Policy": PAGE_CSP}
    return HttpResponse(text, status=denial.status if denial else 200, headers=headers)


def safe_path(path: str | None) -> str:
    """Return `path` if it belongs to this service, else the path of the start page."""
    if path and _LOCAL_PATH.fullmatch(path) and url_has_allowed_host_and_scheme(path, None):
        prefix = settings.OVERMIND_PATH_PREFIX
        if not prefix or _is_below_prefix(prefix, path):
            return path
    return reverse("entry")


def _is_below_prefix(prefix: str, path: str) -> bool:
    """Return whether a path is below a prefix and contains no `..`, which browsers resolve."""
    return re.match(rf"{re.escape(prefix)}(/|\?|#|$)", path) is not None and ".." not in unquote(
        path
    )
