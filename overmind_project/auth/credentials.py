"""Reads and writes a request's credentials: the `Authorization` header, or the sign-in cookie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, parse_cookie

from zerglings.caller import Caller, caller_of

COOKIE = "overmind-token"
"""Name of the cookie. It holds the token itself, so that every replica can check it."""

SECURE_COOKIE = f"{'__Secure-' if settings.OVERMIND_PATH_PREFIX else '__Host-'}{COOKIE}"
"""Name of the cookie over TLS.

Browsers accept `__Host-` cookies from this host only, and only for the root path. Below a path
prefix, `__Secure-` at least guarantees that the cookie was set over TLS.
"""

PATH = settings.OVERMIND_PATH_PREFIX or "/"
"""Path of the cookie. If there is a prefix, other services on the same host do not get it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The token of a request, and whether it came in a cookie."""

    token: str = field(repr=False)
    is_cookie: bool


def credentials_in(environ: Mapping[str, Any]) -> Credentials | None:
    """Return a request's credentials, None if it has none. The header takes precedence.

    Args:
        environ: the WSGI environment.
    """
    header: str | None = environ.get("HTTP_AUTHORIZATION")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer":
            return Credentials(token.strip(" "), is_cookie=False)
    cookie_header: str = environ.get("HTTP_COOKIE", "")
    if COOKIE in cookie_header:  # a cheap check: both names contain it
        # Reverse the cookies: browsers send the one with the longest path first (RFC 6265, section
        # 5.4), but parse_cookie keeps the last one.
        cookies = parse_cookie(";".join(reversed(cookie_header.split(";"))))
        for name in (SECURE_COOKIE, COOKIE):
            if name in cookies:
                return Credentials(cookies[name], is_cookie=True)
    return None


def is_same_origin(request: HttpRequest) -> bool:
    """Return whether a page of this service sent the request.

    Pages cannot forge either header: https://www.w3.org/TR/fetch-metadata/ and
    https://www.rfc-editor.org/rfc/rfc6454#section-7. A request with neither counts as
    cross-site.
    """
    site: str | None = request.META.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site == "same-origin"
    scheme, _, authority = request.META.get("HTTP_ORIGIN", "").lower().partition("://")
    host: str = request.META.get("HTTP_HOST", "").lower()
    return scheme in ("http", "https") and bool(authority) and authority == host


def set_token_cookie(request: HttpRequest, response: HttpResponse, token: str) -> None:
    """Store the token in a session cookie, which the browser keeps until it is closed."""
    # Behind a proxy that terminates TLS, only the Origin header shows that the browser uses TLS.
    # A forged Origin merely keeps the cookie off plain connections.
    is_secure = request.is_secure() or request.META.get("HTTP_ORIGIN", "").startswith("https://")
    name = SECURE_COOKIE if is_secure else COOKIE
    response.set_cookie(name, token, path=PATH, secure=is_secure, httponly=True, samesite="Strict")


def delete_token_cookies(response: HttpResponse) -> None:
    """Delete the token from the browser."""
    for name in (COOKIE, SECURE_COOKIE):
        response.delete_cookie(name, PATH, samesite="Strict")


def signed_in(request: HttpRequest) -> dict[str, Caller | None]:
    """Context processor: the caller who has signed in with this browser, as `signed_in`."""
    caller = caller_of(request.META)
    return {"signed_in": caller if caller is not None and caller.is_signed_in else None}
