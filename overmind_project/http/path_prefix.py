"""The path under which a proxy serves the service, such as ``/overmind``.

A proxy may take it off a request's path or leave it there: both are answered, and so is who calls
the service without the proxy, such as a probe. What an answer says of URLs always begins with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

OWN = frozenset(
    (
        *("zerglings", "swarm", "events", "schema", "docs", "sign-in", "sign-out"),
        *("_health", "healthz", "readyz", "metrics", "static"),
    )
)
"""The first segments of the service's own paths, which no prefix may begin with: ``/events`` would
then mean two things."""

_LONGEST = 200
_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")


def path_prefix(text: str) -> str:
    """Return a path without its final slash, "" for the root.

    Raises:
        ValueError: it is no path, or begins as one of the service's own.
    """
    prefix = text.removesuffix("/")
    if not prefix and text:
        return ""
    if len(prefix) > _LONGEST or not _PREFIX.fullmatch(prefix) or prefix.split("/")[1] in OWN:
        raise ValueError(f"{text!r} is no prefix")
    return prefix


class PathPrefix:
    """WSGI middleware: the application behind it finds every path without the prefix."""

    def __init__(self, application: WSGIApplication, prefix: str) -> None:
        self._application = application
        self._prefix = prefix

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on."""
        path: str = environ["PATH_INFO"]
        if f"{path}/".startswith(f"{self._prefix}/"):
            environ["PATH_INFO"] = path.removeprefix(self._prefix) or "/"
        return self._application(environ, start_response)
