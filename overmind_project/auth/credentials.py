"""What a request shows of who sends it: a token in a header, or in the cookie of a sign-in.

Knows the forms, not which tokens are good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, parse_cookie

from overmind_project.auth.tokens import Token

COOKIE = "overmind-token"
"""Carries the token itself, so that every replica judges it as it judges a header."""

SECURE_COOKIE = f"{'__Secure-' if settings.OVERMIND_PATH_PREFIX else '__Host-'}{COOKIE}"
"""The same over TLS. Browsers take a ``__Host-`` one from nobody else, nor for anybody else, but
only for the root; of another path the most that they guarantee is that it came over TLS."""

PATH = settings.OVERMIND_PATH_PREFIX or "/"
"""Where the cookie is sent: to no other service of the same host."""

SIGNED_IN = "overmind.signed_in"
"""Where in a request's environment the token is with which a browser has signed in."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token that somebody has shown, and how."""

    token: str = field(repr=False)
    is_cookie: bool


def shown_in(environ: Mapping[str, Any]) -> Credentials | None:
    """Return what a request shows, None if nothing; a token in a header goes before a cookie.

    Args:
        environ: the request's, as WSGI has it.
    """
    header: str | None = environ.get("HTTP_AUTHORIZATION")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer":
            return Credentials(token.strip(" "), is_cookie=False)
    sent: str = environ.get("HTTP_COOKIE", "")
    if COOKIE in sent:  # as it is in both names
        # Of two, that of the longer path comes first (RFC 6265, section 5.4); here the last wins.
        cookies = parse_cookie(";".join(reversed(sent.split(";"))))
        for name in (SECURE_COOKIE, COOKIE):
            if name in cookies:
                return Credentials(cookies[name], is_cookie=True)
    return None


def is_from_here(request: HttpRequest) -> bool:
    """Whether a browser says that a page of this service's own has sent a request.

    No page can make a browser lie about either header: https://www.w3.org/TR/fetch-metadata/ and
    https://www.rfc-editor.org/rfc/rfc6454#section-7. What says nothing is taken for foreign.
    """
    site: str | None = request.META.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site == "same-origin"
    scheme, _, place = request.META.get("HTTP_ORIGIN", "").lower().partition("://")
    host: str = request.META.get("HTTP_HOST", "").lower()
    return scheme in ("http", "https") and bool(place) and place == host


def keep(request: HttpRequest, response: HttpResponse, token: str) -> None:
    """Have the browser show a token from now on, until it is closed."""
    # Where TLS ends at a proxy only the browser knows that there is any; its word can do no more
    # than keep the cookie from plain connections.
    is_secure = request.is_secure() or request.META.get("HTTP_ORIGIN", "").startswith("https://")
    name = SECURE_COOKIE if is_secure else COOKIE
    response.set_cookie(name, token, path=PATH, secure=is_secure, httponly=True, samesite="Strict")


def forget(response: HttpResponse) -> None:
    """Have the browser show no token any more."""
    for name in (COOKIE, SECURE_COOKIE):
        response.delete_cookie(name, PATH, samesite="Strict")


def signed_in(request: HttpRequest) -> dict[str, Token | None]:
    """Return what templates may know: the token with which this browser has signed in."""
    return {"signed_in": request.META.get(SIGNED_IN)}
