"""A load generator for regions: each client has a home region and repeats its keys in others.

A client expects less than within one region: a zergling may not have arrived yet, may be dead
elsewhere only, and has other commands in each region. The ledger is compared after convergence.
"""

from __future__ import annotations

import http.client
import json
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.regions.rig import Region
from tests.proof.load.ledger import Answers, Fate, Life, Message, Sent
from tests.proof.load.swarm import Client, Swarm
from tests.support.service import Reply, Service
from zerglings.domain.pose import Pose
from zerglings.hive.bulk import item_key

SPAWNS, DEATHS, READS, LISTS, CALLS, BROODS = 0.01, 0.01, 0.3, 0.01, 0.05, 0.005
"""Shares of a client's actions; the rest are commands."""

ITEMS, BROOD = 8, 3
"""Maximum number of commands and of spawns per call."""

WORDS = 60
"""Maximum length of a command; chunks need some hundred words."""

THINK = 0.3
"""Maximum seconds between two actions of a client."""

REPEATED = 1 / 3
"""Share of acknowledged commands that are repeated with their key in another region."""

SLOW = 1.0
"""Seconds for a trivial request after which a region counts as overloaded."""

OK, CREATED, GONE, MISSING, FAILED = 200, 201, 204, 404, 500


@dataclass(frozen=True)
class Failure:
    """A read that was answered with 5xx; times are on the monotonic clock.

    ``delay`` is that of the region right afterwards, see ``Region.delay``.
    """

    port: int
    began: float
    ended: float
    status: int
    path: str
    said: str
    delay: float

    @property
    def is_excused(self) -> bool:
        """Whether the region's own store or machine was too slow to answer."""
        return self.delay > SLOW


@dataclass
class Strangers:
    """Zerglings of the original, and the commands of this service that they were given.

    The original drops the ids of commands. So they are commanded in its own region only, and each
    command is recognised by its letters.
    """

    ids: list[str] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)


class RegionSwarm(Swarm):
    """Clients of one service in each region."""

    def __init__(self, regions: Sequence[Region], *, clients: int, zerglings: int) -> None:
        services = [region.service for region in regions]
        super().__init__(services, clients=clients, zerglings=zerglings, is_cluster=True)
        self.by_port = {region.service.port: region for region in regions}
        self.strangers = Strangers()
        self.reads: list[Failure] = []
        self.elsewhere = 0
        """Commands and spawns that were repeated in another region, with an answer."""
        self.incomplete = 0
        """Histories that were read before their older part had arrived from another region."""

    def client(self, number: int) -> Client:
        """Return a new client."""
        return RegionClient(self, number)


class RegionClient(Client):
    """One client, which repeats its requests in other regions."""

    _swarm: RegionSwarm

    def act(self) -> None:
        """Perform one random action, then think."""
        shares = (SPAWNS, DEATHS, READS, LISTS, CALLS, BROODS)
        (does,) = random.choices(
            (self.spawn, self._kill, self._read, self._list, self._call, self._brood, self._order),
            (*shares, 1 - sum(shares)),
        )
        does()
        time.sleep(random.uniform(0, THINK))

    def spawn(self) -> None:
        """Spawn a zergling somewhere; send half of the spawns in another region too."""
        x, y, facing = random.randint(-9, 9), random.randint(-9, 9), random.choice("NESW")
        body = {"location": {"x": x, "y": y}, "facing": facing}
        message = _keyed("/zerglings/", uuid.uuid4().hex, body)
        answers = [self._pursue(message)]
        if random.random() < 0.5:
            answers.append(self._repeated(message))
        self._enter_spawn(answers, Pose(x, y, facing))

    def kill(self, life: Life) -> None:
        """Delete a zergling. The other regions learn of it later."""
        life.was_to_die = True
        status = self._pursue(Message("DELETE", f"/zerglings/{life.id}")).status
        with self._swarm.lock:
            self._ledger.deaths += status == GONE
            life.died |= status == GONE

    def _kill(self) -> None:
        self.kill(self._swarm.target())
        self.spawn()

    def _order(self) -> None:
        """Command a zergling; in the original's region, a third of the times one of its own."""
        strangers = self._swarm.strangers
        is_near = self._number % len(self._swarm.by_port) == 0
        if strangers.ids and is_near and random.random() < 0.3:
            self.command_stranger(random.choice(strangers.ids))
            return
        if random.random() < 0.05:
            self.command_in_vain(self._swarm.target())
        else:
            self.command(self._swarm.target())

    def command_stranger(self, id_: str) -> None:
        """Command a zergling of the original, in this client's own region only."""
        sent = Sent(Life(id_, Pose()), "".join(random.choices("MLR", k=30)), uuid.uuid4().hex)
        message = Message("POST", f"/zerglings/{id_}", sent.words)
        sent.fate = self._pursue(message, stays=True).fate
        with self._swarm.lock:
            self._swarm.strangers.sent.append(sent)

    def _some_command(self, life: Life) -> Sent:
        length = random.choice((1, 1, random.randint(2, WORDS)))
        sent = super()._some_command(life)
        return sent if sent.key is None else Sent(life, _letters(length), sent.key)

    def _enter(self, sent: Sent, answers: Answers, *, was_dead: bool) -> None:
        """Record the outcome of a command; a zergling may be unknown or living in each region."""
        status = answers.status
        sent.ended = time.monotonic()
        with self._swarm.lock:
            self._ledger.enter(sent, answers.fate)
            is_right = status in (OK, MISSING, None)
            self._ledger.complain_if(not is_right, f"{sent.name} of {sent.life.id} got a {status}")

    def _repeat(self, sent: Sent) -> None:
        """Repeat an acknowledged command with its key in another region."""
        if sent.fate is Fate.ACKNOWLEDGED and sent.key is not None:
            status = self._repeated(sent.message).status
            with self._swarm.lock:
                self._ledger.repeats[status] += 1
                is_right = status in (OK, MISSING, None)
                self._ledger.complain_if(not is_right, f"the repeat of {sent.key} got a {status}")

    def _read(self) -> None:
        """Read a zergling anywhere; one in ten of the original's."""
        strangers = self._swarm.strangers.ids
        is_strange = bool(strangers) and random.random() < 0.1
        id_ = random.choice(strangers) if is_strange else self._swarm.target().id
        path = f"/zerglings/{id_}" + random.choice(("", "", "/history"))
        self._pursue(Message("GET", path), anywhere=True)

    def _list(self) -> None:
        self._pursue(Message("GET", "/zerglings/"), anywhere=True)

    def _call(self) -> None:
        """Command some zerglings in one call; repeat a third of the calls in another region."""
        key = uuid.uuid4().hex
        sent = [
            Sent(
                self._swarm.target(),
                _letters(random.randint(1, WORDS)),
                item_key(key, number) or "",
            )
            for number in range(random.randint(2, ITEMS))
        ]
        orders = [{"id": one.life.id, "command": one.words} for one in sent]
        message = _keyed("/swarm/commands", key, {"commands": orders})
        results = self._pursue_items(message, len(sent))
        for one, answers in zip(sent, results, strict=True):
            self._enter(one, answers, was_dead=False)
        if random.random() < REPEATED and all(one.fate is Fate.ACKNOWLEDGED for one in sent):
            self._repeated(message)

    def _brood(self) -> None:
        """Spawn some zerglings in one call; repeat half of the calls in another region."""
        count, facing = random.randint(1, BROOD), random.choice("NESW")
        message = _keyed("/swarm/spawn", uuid.uuid4().hex, {"count": count, "facing": facing})
        broods = [self._pursue_items(message, count)]
        if random.random() < 0.5:
            broods.append(self._pursue_items(message, count, anywhere=True))
        for answers in zip(*broods, strict=True):
            self._enter_spawn(answers, Pose(facing=facing))

    def _enter_spawn(self, answers: Sequence[Answers], pose: Pose) -> None:
        """Record a spawn, which was sent in one region or two and counts once."""
        ids = {
            each.reply.json["zergling"]["id"]
            for each in answers
            if each.reply and each.status == CREATED
        }
        with self._swarm.lock:
            self._ledger.unknown_spawns += not ids
            self._ledger.lives += [Life(id_, pose) for id_ in ids]
            self._ledger.complain_if(len(ids) > 1, f"one key spawned {ids}")

    def _repeated(self, message: Message) -> Answers:
        """Send a message in another region."""
        answers = self._pursue(message, anywhere=True)
        with self._swarm.lock:
            self._swarm.elsewhere += answers.status is not None
        return answers

    def _pursue_items(
        self, message: Message, count: int, *, anywhere: bool = False
    ) -> list[Answers]:
        """Send a call until it is answered as a whole; return the outcome of each item."""
        whole = self._pursue(message, anywhere=anywhere)
        results = [Answers(is_doubtful=whole.is_doubtful) for _ in range(count)]
        if whole.reply and whole.status == OK:
            for item, result in zip(whole.reply.json["results"], results, strict=True):
                result.add(Reply(item["status"], whole.reply.headers, json.dumps(item).encode()))
        return results

    def _choose(self, services: Sequence[Service], *, anywhere: bool) -> Service:
        home = services[self._number % len(services)]
        return random.choice([each for each in services if each is not home]) if anywhere else home

    def _attempt(
        self, message: Message, talks: Sequence[http.client.HTTPConnection]
    ) -> list[Reply | None]:
        """Send a message; record a read that is answered with 5xx or with a part of a history."""
        began = time.monotonic()
        replies = super()._attempt(message, talks)
        for reply, talk in zip(replies, talks, strict=True):
            if reply and reply.status >= FAILED and message.method == "GET":
                at = (talk.port, began, time.monotonic())
                self._swarm.reads.append(self._failure(message, reply, at))
            if reply and message.path.endswith("/history") and "missingCount" in reply.json:
                with self._swarm.lock:
                    self._swarm.incomplete += 1
        return replies

    def _failure(self, message: Message, reply: Reply, at: tuple[int, float, float]) -> Failure:
        said = reply.body.decode(errors="replace")[:200]
        try:
            delay = self._swarm.by_port[at[0]].delay()
        except (OSError, http.client.HTTPException):
            delay = 0.0  # the service has ended; the campaign knows when
        return Failure(*at, reply.status, message.path, said, delay)


def _letters(count: int) -> str:
    return "".join(random.choices("MLR", (3, 1, 1), k=count))


def _keyed(path: str, key: str, body: Any) -> Message:
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    return Message("POST", path, json.dumps(body), headers)
