"""Lets a request in that shows a good token, and answers all others, before anything looks at them.

It is there only where tokens are configured. A new URL is closed unless it is named here.
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
from overmind_project.auth.access import configured_ring
from overmind_project.auth.credentials import SIGNED_IN, Credentials, is_from_here, shown_in
from overmind_project.auth.denials import Denial
from overmind_project.auth.tokens import Token
from overmind_project.http.gcra import shared_limiters
from overmind_project.http.request_context import KEY, RequestContext, note_route
from overmind_project.middleware.every_request import too_often
from zerglings.api.caching import NO_STORE
from zerglings.api.exceptions import error_response
from zerglings.feed.views import CALLER, IS_STILL_ALLOWED

OPEN = frozenset(("health", "healthz", "readyz", "sign-in", "sign-out"))
"""Routes that ask for no token."""

METRICS = "metrics"
"""The route that asks for one unless a setting says otherwise."""

SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
"""Methods that only read (RFC 9110, section 9.2.1); all others need the scope ``write``."""


class Authentication:
    """Django middleware: every view behind it is asked only by those who may."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        ring = configured_ring()
        if ring is None:
            raise MiddlewareNotUsed
        self._ring = ring
        self._get_response = get_response
        rate = settings.OVERMIND_RATE_LIMIT
        self._limiter = None if rate is None else shared_limiters(rate)[0]
        self._open = OPEN | {METRICS} if settings.OVERMIND_OPEN_METRICS else OPEN

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request, or have it answered."""
        if request.path_info.startswith(settings.STATIC_PATH):
            # A file that is not there. Who asks for files is not charged, so no token is tried.
            return error_response(404, "There is no such file.")
        shown = shown_in(request.META)
        token = self._ring.find(shown.token) if shown is not None else None
        if token is not None:
            self._introduce(request, token, is_cookie=shown is not None and shown.is_cookie)
        elif shown is not None and (context := request.META.get(KEY)) is not None:
            context.is_guess = True
        refusal = _refusal(request, shown, token)
        if refusal is None or self._is_open(request):
            response = self._get_response(request)
        else:
            response = self._refused(request, refusal, token)
        _keep_private(response)
        return response

    def _introduce(self, request: HttpRequest, token: Token, *, is_cookie: bool) -> None:
        """Tell those behind it, and the log, who is calling."""
        context: RequestContext | None = request.META.get(KEY)
        if context is not None:
            context.caller = token.name
        request.META[CALLER] = token.name
        request.META[IS_STILL_ALLOWED] = partial(self._ring.holds, token)
        if is_cookie:
            request.META[SIGNED_IN] = token

    def _refused(
        self, request: HttpRequest, refusal: Denial, token: Token | None
    ) -> HttpResponseBase:
        """Answer who is not let in; a caller is charged for that as for any call."""
        if token is not None and self._limiter is not None:
            response = too_often(self._limiter, request)
            if response is not None:
                return response
        return denials.answer(request, refusal, request.get_full_path())

    def _is_open(self, request: HttpRequest) -> bool:
        """Whether a request that was not let in is for what is open to all."""
        try:
            request.resolver_match = resolve(request.path_info)
        except Resolver404:
            return False
        note_route(request)
        return request.resolver_match.view_name in self._open


def _refusal(request: HttpRequest, shown: Credentials | None, token: Token | None) -> Denial | None:
    if shown is None:
        return denials.ANONYMOUS
    if token is None:
        return denials.NOT_KNOWN
    if request.method in SAFE:
        return None
    if shown.is_cookie and not is_from_here(request):
        return denials.FOREIGN
    return None if token.may_write else denials.READ_ONLY


def _keep_private(response: HttpResponseBase) -> None:
    """Keep caches from giving one caller's answer to another, whom nobody would have asked."""
    patch_vary_headers(response, ("Authorization", "Cookie"))
    known = response.headers.get("Cache-Control")
    if known is None:
        response.headers["Cache-Control"] = NO_STORE
    elif NO_STORE not in known:
        patch_cache_control(response, private=True)
