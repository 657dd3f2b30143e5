"""The faults that a fault proxy can inject, as plain data classes."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """This answer, without forwarding: only these headers and a Content-Length are sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ResetBefore:
    """The client's connection is reset; the upstream sees nothing."""


@dataclass(frozen=True)
class ResetAfter:
    """The upstream carries the request out, then the client's connection is reset."""


@dataclass(frozen=True)
class Twice:
    """The upstream carries the request out twice; the second answer is passed on."""


@dataclass(frozen=True)
class CutBody:
    """The upstream's answer with its true Content-Length, closed after `bytes_kept` of the body."""

    bytes_kept: int


@dataclass(frozen=True)
class Hang:
    """No answer until `release` is set or the proxy goes down.

    With `forward` the upstream carries the request out first, and its answer comes on release.
    Without, the upstream never sees the request, and release resets the connection. Either way
    the request is in `FaultProxy.requests` as soon as it hangs.
    """

    release: threading.Event
    forward: bool = False


@dataclass(frozen=True)
class Delay:
    """The request is forwarded after so many seconds, or never if the proxy goes down before.

    A random part of `jitter` seconds comes on top.
    """

    seconds: float
    jitter: float = 0.0


@dataclass(frozen=True)
class Drip:
    """The upstream's answer, byte by byte with so many seconds between them."""

    every: float


@dataclass(frozen=True)
class WrongType:
    """The upstream's answer under another content type."""

    content_type: str


@dataclass(frozen=True)
class Judged:
    """What ``judge`` answers to the body of a request; it is forwarded where that is None."""

    judge: Callable[[bytes], Answer | None]


Kind = (
    Judged | Answer | ResetBefore | ResetAfter | Twice | CutBody | Hang | Delay | Drip | WrongType
)


def every_request(_method: str, _path: str) -> bool:
    """Match whatever comes."""
    return True


def some_writes(method: str, path: str) -> bool:
    """Match a third of the requests that write documents, by chance."""
    return (method == "PUT" or path.endswith("/_bulk_docs")) and random.random() < 1 / 3


@dataclass(frozen=True)
class Fault:
    """What happens to the requests that match, to the first `times` of them if it is given."""

    kind: Kind
    matches: Callable[[str, str], bool] = every_request
    times: int | None = None
