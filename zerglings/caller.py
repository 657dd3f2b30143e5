"""Who sent a request: what the views may know of the token, and how they get it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

CONTEXT_KEY = "overmind.request_context"
"""Key of a request's context in its WSGI environment; the server in front of the views sets it."""


@dataclass(slots=True)
class Caller:
    """A caller with a valid token.

    Args:
        name: the name of the token, which several tokens may share.
        may_write: whether the token allows changes.
        is_signed_in: whether the token came in the cookie of the sign-in page.
        is_still_allowed: returns whether the token is still valid.
    """

    name: str
    may_write: bool
    is_signed_in: bool
    is_still_allowed: Callable[[], bool]


class HasCaller(Protocol):
    """The part of a request's context that this package uses."""

    caller: Caller | None


def caller_of(environ: Mapping[str, Any]) -> Caller | None:
    """Return the caller of a request, None without a valid token.

    Args:
        environ: the WSGI environment, which Django calls `META`.
    """
    context: HasCaller | None = environ.get(CONTEXT_KEY)
    return None if context is None else context.caller
