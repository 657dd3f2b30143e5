"""Checks a request's token before any view runs. Only active if tokens are configured.

A new URL requires a token unless its route is listed here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.cache import patch_cache_control, patch_vary_headers

from overmind_project.auth import denials
from overmind_project.auth.access import configured_tokens
from overmind_project.auth.credentials import Credentials, credentials_in, is_same_origin
from overmind_project.auth.denials import Denial
from overmind_project.auth.tokens import Token
from overmind_project.http.gcra import limiters
from overmind_project.http.request_context import context_of
from overmind_project.middleware.every_request import rate_limit_response
from zerglings.api.caching import NO_STORE
from zerglings.api.exceptions import error_response
from zerglings.caller import Caller

PUBLIC_ROUTES = frozenset(("health", "healthz", "readyz", "sign-in", "sign-out"))
"""Routes that require no token."""

METRICS_ROUTE = "metrics"
"""The route that requires a token unless OVERMIND_OPEN_METRICS is set."""

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
"""Methods that only read (RFC 9110, section 9.2.1); all others require the scope `write`."""


class Authentication:
    """Django middleware that answers requests without a valid token with 401 or 403."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        tokens = configured_tokens()
        if tokens is None:
            raise MiddlewareNotUsed
        self._tokens = tokens
        self._get_response = get_response
        rate = settings.OVERMIND_RATE_LIMIT
        self._limiter = None if rate is None else limiters(rate)[0]
        self._public_routes = (
            PUBLIC_ROUTES | {METRICS_ROUTE} if settings.OVERMIND_OPEN_METRICS else PUBLIC_ROUTES
        )

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass an authorised request on; deny all others."""
        if request.path_info.startswith(settings.STATIC_PATH):
            # WhiteNoise found no such file. Do not check the token: requests for files are not rate
            # limited, so a client could guess tokens without limit.
            return error_response(404, "There is no such file.")
        credentials = credentials_in(request.META)
        token = None if credentials is None else self._identify(request, credentials)
        denial = _denial_for(request, credentials, token)
        if denial is None or self._is_public(request):
            response = self._get_response(request)
        else:
            response = self._deny(request, denial, token)
        _make_private(response)
        return response

    def _identify(self, request: HttpRequest, credentials: Credentials) -> Token | None:
        """Return the token of the credentials if it is valid; note the result in the context."""
        context = context_of(request.META)
        token = self._tokens.find(credentials.token)
        if token is None:
            context.has_invalid_token = True
        else:
            context.caller = Caller(
                token.name,
                token.may_write,
                credentials.is_cookie,
                partial(self._tokens.is_valid, token),
            )
        return token

    def _deny(self, request: HttpRequest, denial: Denial, token: Token | None) -> HttpResponseBase:
        """Return the denial, or 429 if a caller with a valid token has used up its limit."""
        if token is not None and self._limiter is not None:
            response = rate_limit_response(self._limiter, request)
            if response is not None:
                return response
        return denials.denial_response(request, denial, request.get_full_path())

    def _is_public(self, request: HttpRequest) -> bool:
        """Return whether the request's route requires no token."""
        try:
            request.resolver_match = resolve(request.path_info)
        except Resolver404:
            return False
        context_of(request.META).note_route(request.resolver_match)
        return request.resolver_match.view_name in self._public_routes


def _denial_for(
    request: HttpRequest, credentials: Credentials | None, token: Token | None
) -> Denial | None:
    if credentials is None:
        return denials.ANONYMOUS
    if token is None:
        return denials.NOT_KNOWN
    if request.method in SAFE_METHODS:
        return None
    if credentials.is_cookie and not is_same_origin(request):
        return denials.FOREIGN
    return None if token.may_write else denials.READ_ONLY


def _make_private(response: HttpResponseBase) -> None:
    """Keep shared caches from serving one caller's answer to another."""
    patch_vary_headers(response, ("Authorization", "Cookie"))
    known = response.headers.get("Cache-Control")
    if known is None:
        response.headers["Cache-Control"] = NO_STORE
    elif NO_STORE not in known:
        patch_cache_control(response, private=True)
