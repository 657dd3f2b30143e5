"""Rate limits: one for each caller with a valid token, else one for each address.

There are two checks. `AddressRateLimit`, in front of Django, cheaply rejects requests of an
address that has used up its limit. `charge`, after the authentication, charges the request to
the caller or the address. A request that is answered before `charge`, such as one with an
invalid token, is charged when its answer begins.

An address that guesses tokens is soon rejected, even with a valid token. Callers behind the same
address continue to be served if their token was valid there recently.

`/metrics` has a limit of its own, so that scrapes and other requests do not use up each other's.
An invalid token counts as a guess there too.

A request counts as one, however many commands it contains. Counting commands would require
parsing the body before a rejection, and a limit below 10,000 would reject large bulk calls for
ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from overmind_project.auth.credentials import credentials_in
from overmind_project.auth.tokens import digest_of
from overmind_project.http.client_address import rate_limit_network
from overmind_project.http.error_response import refuse
from overmind_project.http.gcra import SECOND, Limiter
from overmind_project.http.request_context import context_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SENTENCE = (
    "Too many requests: nothing was changed; Retry-After says in how many seconds to try again."
)

PROBE_PATHS = frozenset(
    f"/{name}{slash}" for name in ("_health", "healthz", "readyz") for slash in ("", "/")
)
"""Paths that are never limited; static files are exempt as well."""

METRICS_PATHS = frozenset(("/metrics", "/metrics/"))
"""Paths with a limit of their own."""


class AddressRateLimit:
    """WSGI middleware that rejects requests of addresses that have used up their limit.

    Args:
        application: the application to wrap.
        limiter: the limit of callers and addresses.
        recent_tokens: remembers the tokens that were valid recently.
    """

    def __init__(
        self, application: WSGIApplication, limiter: Limiter, recent_tokens: Limiter
    ) -> None:
        self._application = application
        self._limiter = limiter
        self._recent_tokens = recent_tokens
        self._static = settings.STATIC_PATH

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or reject it with 429."""
        path = environ["PATH_INFO"]
        if path in PROBE_PATHS or path.startswith(self._static):
            return self._application(environ, start_response)
        context = context_of(environ)
        wait = self._limiter.wait(_limiter_key(environ))
        if path in METRICS_PATHS and credentials_in(environ) is not None:
            wait = max(wait, self._limiter.wait(rate_limit_network(context.client)))
        if wait and not self._recent_tokens.is_known(_token_key(environ)):
            retry = ("Retry-After", _seconds(wait))
            return refuse(environ, start_response, "429 Too Many Requests", SENTENCE, retry)
        context.is_uncharged = True

        def begin(status: str, headers: list[tuple[str, str]], *exc_info: object) -> object:
            if context.is_uncharged:
                context.is_uncharged = False
                # The first check covered the address only. So overdraw the allowance of an address,
                # but never that of a known caller.
                is_by_address = context.caller is None
                self._limiter.take(_limiter_key(environ), allow_overdraft=is_by_address)
            if context.caller is not None:
                self._recent_tokens.take(_token_key(environ))
            elif context.has_invalid_token:
                self._recent_tokens.reset(_token_key(environ))
            return start_response(status, headers, *exc_info)  # type: ignore[arg-type]  # passed on unchanged

        return self._application(environ, begin)  # type: ignore[arg-type]  # same as above


def charge(limiter: Limiter, environ: WSGIEnvironment) -> str | None:
    """Charge a request to its caller, unless it has been charged already or is exempt.

    Returns:
        None if the request may go on, else the seconds for `Retry-After`.
    """
    context = context_of(environ)
    if not context.is_uncharged:
        return None
    context.is_uncharged = False
    wait = limiter.take(_limiter_key(environ))
    return _seconds(wait) if wait else None


def _limiter_key(environ: WSGIEnvironment) -> str:
    """Return the limiter's name of the request's caller, as far as it is known yet."""
    context = context_of(environ)
    known = context.caller
    caller = rate_limit_network(context.client) if known is None else f"@{known.name}"
    if environ["PATH_INFO"] in METRICS_PATHS and not context.has_invalid_token:
        caller = f"metrics {caller}"
    return caller  # no address begins with "@" or "metrics "


def _token_key(environ: WSGIEnvironment) -> str:
    """Return a key of a request's token together with its address; it contains only a hash."""
    credentials = credentials_in(environ)
    digest = digest_of(credentials.token) if credentials is not None else b""
    return f"{digest.hex()} {rate_limit_network(context_of(environ).client)}"


def _seconds(wait: int) -> str:
    """Convert nanoseconds to whole seconds, rounded up."""
    return str(-(-wait // SECOND))
