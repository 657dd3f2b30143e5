"""The faults that a fault proxy can inject, as plain data classes."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """Sends this response with only these headers and a Content-Length; forwards nothing."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ResetBefore:
    """Resets the client's connection without forwarding the request."""


@dataclass(frozen=True)
class ResetAfter:
    """Forwards the request, then resets the client's connection."""


@dataclass(frozen=True)
class Twice:
    """Forwards the request twice and passes on the second response."""


@dataclass(frozen=True)
class CutBody:
    """Sends the upstream's Content-Length, and closes after `bytes_kept` bytes of the body."""

    bytes_kept: int


@dataclass(frozen=True)
class Hang:
    """Holds the response back until `release` is set or the proxy goes down.

    With `forward`, the request is forwarded first, and `release` sends the response. Without it,
    the request is never forwarded, and `release` resets the connection. Either way the request is
    in `FaultProxy.requests` as soon as it hangs.
    """

    release: threading.Event
    forward: bool = False


@dataclass(frozen=True)
class Delay:
    """Forwards the request after `seconds`, or never if the proxy goes down before.

    A random share of `jitter` seconds is added.
    """

    seconds: float
    jitter: float = 0.0


@dataclass(frozen=True)
class Drip:
    """Sends the upstream's response byte by byte, with `every` seconds between two bytes."""

    every: float


@dataclass(frozen=True)
class WrongType:
    """Sends the upstream's response with another content type."""

    content_type: str


@dataclass(frozen=True)
class Judged:
    """Sends what ``judge`` returns for the request's body; forwards the request if that is None."""

    judge: Callable[[bytes], Answer | None]


Kind = (
    Judged | Answer | ResetBefore | ResetAfter | Twice | CutBody | Hang | Delay | Drip | WrongType
)


def every_request(_method: str, _path: str) -> bool:
    """Match every request."""
    return True


def some_writes(method: str, path: str) -> bool:
    """Match a random third of the requests that write documents."""
    return (method == "PUT" or path.endswith("/_bulk_docs")) and random.random() < 1 / 3


@dataclass(frozen=True)
class Fault:
    """Applies `kind` to matching requests.

    Args:
        kind: what happens to them.
        matches: whether it happens to a request, given its method and its path with the query.
        times: only to the first so many; None for all.
        username: only to requests with this user's basic authentication; None for all.
    """

    kind: Kind
    matches: Callable[[str, str], bool] = every_request
    times: int | None = None
    username: str | None = None
