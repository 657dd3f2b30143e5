"""The ledger of a load test: every request that was sent, and whether it was acknowledged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from tests.support.service import Reply
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest

NOTHING_CHANGED = "nothing was changed"


class Fate(Enum):
    """The outcome of a request, as far as its client knows."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass
class Life:
    """A zergling as clients know it; ``died`` is set once a client got that response."""

    id: str
    spawn: Pose
    was_to_die: bool = False
    died: bool = False

    def may_answer(self, status: int | None) -> bool:
        """Whether a valid request can end in this status; None stands for lost responses."""
        return status in (200, None) or (status == 404 and self.was_to_die)


@dataclass(frozen=True)
class Message:
    """A request as sent."""

    method: str
    path: str
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_once(self) -> bool:
        """Whether sending the request again could have a second effect."""
        return self.method == "POST" and "Idempotency-Key" not in self.headers


@dataclass
class Sent:
    """A request of the ledger: when it was first sent, and when a client knew that it counts.

    A request without a key is identified by its commands, which are unique.
    """

    life: Life
    words: str
    key: str | None
    began: float = field(default_factory=time.monotonic)
    ended: float = float("inf")
    fate: Fate = Fate.UNKNOWN

    @property
    def message(self) -> Message:
        headers = {} if self.key is None else {"Idempotency-Key": self.key}
        return Message("POST", f"/zerglings/{self.life.id}", self.words, headers)

    @cached_property
    def request(self) -> CommandRequest:
        """The request as stored, except for the id of one without a key."""
        return CommandRequest.command(self.words, self.key)

    @property
    def name(self) -> str:
        """The name of the request in a history."""
        return self.words if self.key is None else self.request.id


def named(
    history: Iterable[CommandRequest], ledger: Iterable[Sent]
) -> list[tuple[str, CommandRequest]]:
    """Return a history's requests by their names in the ledger, else by their ids."""
    keyless = {sent.words for sent in ledger if sent.key is None}
    return [
        (words if (words := "".join(request.words)) in keyless else request.id, request)
        for request in history
    ]


@dataclass
class Answers:
    """All responses to one request, which may be sent repeatedly.

    ``pause`` is the seconds until the next attempt at most.
    """

    status: int | None = None
    reply: Reply | None = None
    attempts: int = 0
    is_doubtful: bool = False
    pause: float = 0.1

    @property
    def fate(self) -> Fate:
        if self.status is not None and self.status < 300:
            return Fate.ACKNOWLEDGED
        return Fate.UNKNOWN if self.is_doubtful else Fate.REFUSED

    def add(self, reply: Reply | None) -> None:
        """Add the status of one attempt, or None if its response was lost."""
        if reply is None:
            self.is_doubtful = True
        elif reply.status in (409, 503):
            self.is_doubtful |= NOTHING_CHANGED not in reply.json["error"]
            self.pause = float(reply.headers["Retry-After"] or self.pause)
        elif self.status is None or self.fate is not Fate.ACKNOWLEDGED:
            self.status, self.reply = reply.status, reply


@dataclass
class Ledger:
    """The requests and responses of all clients."""

    sent: list[Sent] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    statuses: Counter[int | None] = field(default_factory=Counter)
    repeats: Counter[int | None] = field(default_factory=Counter)
    fates: Counter[Fate] = field(default_factory=Counter)
    deaths: int = 0
    unknown_spawns: int = 0
    slowest: float = 0.0
    complaints: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        return self.fates[Fate.ACKNOWLEDGED]

    def by_life(self) -> dict[str, list[Sent]]:
        """Return the requests to each zergling, by its id."""
        found: dict[str, list[Sent]] = {life.id: [] for life in self.lives}
        for sent in self.sent:
            found[sent.life.id].append(sent)
        return found

    def enter(self, sent: Sent, fate: Fate) -> None:
        sent.fate = fate
        self.sent.append(sent)
        self.fates[fate] += 1

    def complain_if(self, is_wrong: bool, complaint: str) -> None:
        if is_wrong:
            self.complaints.append(complaint)
