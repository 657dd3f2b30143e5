"""Supports a reverse proxy that serves the service below a path such as `/overmind`.

The proxy may strip the prefix or keep it: both forms work, and so do direct calls such as those
of probes. URLs in answers always begin with the prefix.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SERVICE_SEGMENTS = frozenset(
    (
        *("zerglings", "swarm", "events", "regions", "schema", "docs", "sign-in", "sign-out"),
        *("_health", "healthz", "readyz", "metrics", "static"),
    )
)
"""First segments of the service's own paths.

A prefix must not begin with one of them, because a path such as `/events` would be ambiguous.
"""

_MAX_LENGTH = 200
_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")


def path_prefix(text: str) -> str:
    """Parse a prefix; return it without its final slash, or "" for the root.

    Raises:
        ValueError: the text is not a path, or begins with a path of the service.
    """
    prefix = text.removesuffix("/")
    if not prefix and text:
        return ""
    if (
        len(prefix) > _MAX_LENGTH
        or not _PREFIX.fullmatch(prefix)
        or prefix.split("/")[1] in SERVICE_SEGMENTS
    ):
        raise ValueError(f"{text!r} is not a prefix")
    return prefix


class PathPrefix:
    """WSGI middleware that removes the prefix from a request's path."""

    def __init__(self, application: WSGIApplication, prefix: str) -> None:
        self._application = application
        self._prefix = prefix

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Remove the prefix, if there is one, and call the application."""
        path: str = environ["PATH_INFO"]
        if f"{path}/".startswith(f"{self._prefix}/"):
            environ["PATH_INFO"] = path.removeprefix(self._prefix) or "/"
        return self._application(environ, start_response)
