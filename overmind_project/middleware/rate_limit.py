"""Refuses who calls too often: each caller that has shown its token, and else each address.

It stands in two places. The door, before Django, turns away whoever calls from an address that has
used up its limit, for next to nothing. Behind the guard, which knows who has shown a token, the
call is counted: to the caller, or else to the address. What was answered on the way, such as a
token that is none, counts when its answer begins: so whoever guesses tokens is soon not heard any
more, not even with the right one. Those who share the address and whose tokens have lately been
good from there still are.

The metrics have the same limit for themselves, so that neither whoever scrapes them is kept from
it by other calls, nor the other way round. A token that is tried there in vain is a guess as any.

A call counts as one, whatever it asks for. Only its body would tell more, which would have to be
read and understood before it can be refused; and a limit below 10,000 a moment would forbid large
whole-swarm calls for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from overmind_project.auth.credentials import shown_in
from overmind_project.http.client_address import neighbourhood
from overmind_project.http.error_response import refuse
from overmind_project.http.gcra import SECOND, Limiter, Place
from overmind_project.http.request_context import KEY, RequestContext

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SENTENCE = (
    "Too many requests: nothing was changed; Retry-After says in how many seconds to try again."
)

PROBES = frozenset(
    f"/{name}{slash}" for name in ("_health", "healthz", "readyz") for slash in ("", "/")
)
"""Paths that are never limited, nor are static files."""

METRICS = frozenset(("/metrics", "/metrics/"))
"""Paths that have a limit of their own."""

_UNCHARGED = "overmind.uncharged"
"""Is in a request's environment for as long as nobody was charged for it."""


class AddressRateLimit:
    """WSGI middleware: the application behind it is asked no more often than allowed."""

    def __init__(self, application: WSGIApplication, limiter: Limiter, lately: Limiter) -> None:
        self._application = application
        self._limiter = limiter
        self._lately = lately
        self._static = settings.STATIC_PATH

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on, or turn it away."""
        path = environ["PATH_INFO"]
        if path in PROBES or path.startswith(self._static):
            return self._application(environ, start_response)
        context: RequestContext = environ[KEY]
        wait = self._limiter.wait(_place_of(self._limiter, environ))
        if path in METRICS and shown_in(environ) is not None:
            guessing = self._limiter.place_of(neighbourhood(context.client))
            wait = max(wait, self._limiter.wait(guessing))
        if wait and not self._lately.knows(self._place_of_token(environ)):
            retry = ("Retry-After", _seconds(wait))
            return refuse(environ, start_response, "429 Too Many Requests", SENTENCE, retry)
        environ[_UNCHARGED] = True

        def begin(status: str, headers: list[tuple[str, str]], *exc_info: object) -> object:
            if environ.pop(_UNCHARGED, False):
                # Nobody looked at the door whether a caller has any left: it gets no debts.
                is_by_address = context.caller is None
                self._limiter.take(_place_of(self._limiter, environ), on_credit=is_by_address)
            if context.caller is not None:
                self._lately.take(self._place_of_token(environ))
            elif context.is_guess:
                self._lately.forget(self._place_of_token(environ))
            return start_response(status, headers, *exc_info)  # type: ignore[arg-type]  # as it came

        return self._application(environ, begin)  # type: ignore[arg-type]  # as said above

    def _place_of_token(self, environ: WSGIEnvironment) -> Place:
        """Return the place of the token that a request shows, and of where it comes from.

        Only a hash of both is kept.
        """
        shown = shown_in(environ)
        token = shown.token if shown is not None else ""
        return self._lately.new_place_of(f"{neighbourhood(environ[KEY].client)}\n{token}")


def charge(limiter: Limiter, environ: WSGIEnvironment) -> str | None:
    """Charge a request to whoever sends it, unless somebody has been charged or nobody is to be.

    Returns:
        Seconds after which to come back, for ``Retry-After``, if it is refused instead.
    """
    if not environ.pop(_UNCHARGED, False):
        return None
    wait = limiter.take(_place_of(limiter, environ))
    return _seconds(wait) if wait else None


def _place_of(limiter: Limiter, environ: WSGIEnvironment) -> Place:
    """Return the place of who sends a request, as far as that is known by now."""
    context: RequestContext = environ[KEY]
    who = neighbourhood(context.client) if context.caller is None else f"@{context.caller}"
    if environ["PATH_INFO"] in METRICS and not context.is_guess:
        who = f"metrics {who}"
    return limiter.place_of(who)  # no address begins like the others


def _seconds(wait: int) -> str:
    """Return nanoseconds as whole seconds, after which it is certainly over."""
    return str(-(-wait // SECOND))
