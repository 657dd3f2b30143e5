"""What those are told who are not let in: a sentence, or for people a page to sign in on."""

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

from overmind_project.auth.access import configured_ring
from overmind_project.home import PAGE_POLICY
from zerglings.api.exceptions import error_response
from zerglings.api.negotiation import prefers_html

_CHALLENGE = 'Bearer realm="overmind"'
_PLACE = re.compile(r"/[!-~]*")


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is not let in, and what ``WWW-Authenticate`` says of it.

    https://www.rfc-editor.org/rfc/rfc6750#section-3
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
    "This token is not known here, or not any more: send another, or sign in anew.",
    f'{_CHALLENGE}, error="invalid_token"',
)
READ_ONLY = Denial(
    403,
    "This token may only read: what changes anything needs one with the scope write.",
    f'{_CHALLENGE}, error="insufficient_scope", scope="write"',
)
FOREIGN = Denial(
    403, "This came from a page of another site, or of none: use the pages of this service."
)


def answer(request: HttpRequest, refusal: Denial, onward: str | None) -> HttpResponse:
    """Return the answer to a request that is refused.

    ``onward`` is where somebody wants to be who signs in now.
    """
    if prefers_html(request.META.get("HTTP_ACCEPT")):
        response = page(request, onward, refusal)
    else:
        response = error_response(refusal.status, refusal.sentence)
    patch_vary_headers(response, ("Accept",))
    if refusal.challenge is not None:
        response["WWW-Authenticate"] = refusal.challenge
    return response


def page(request: HttpRequest, onward: str | None, refusal: Denial | None = None) -> HttpResponse:
    """Return the page with a form that takes a token, and why it is shown unasked."""
    shown = {
        "onward": safe(onward),
        "problem": "" if refusal in (None, ANONYMOUS) else refusal,
        "is_open": configured_ring() is None,
    }
    text = render_to_string("zerglings/sign_in.html", shown, request)
    headers = {"Content-Security-Policy": PAGE_POLICY}
    return HttpResponse(text, status=refusal.status if refusal else 200, headers=headers)


def safe(path: str | None) -> str:
    """Return a path if it leads to a page of this service, else that of the map."""
    if path and _PLACE.fullmatch(path) and url_has_allowed_host_and_scheme(path, None):
        prefix = settings.OVERMIND_PATH_PREFIX
        if not prefix or _is_below(prefix, path):
            return path
    return reverse("entry")


def _is_below(prefix: str, path: str) -> bool:
    """Whether a path stays below a prefix, also where a browser resolves its dots."""
    return re.match(rf"{re.escape(prefix)}(/|\?|#|$)", path) is not None and ".." not in unquote(
        path
    )
