"""A load generator: clients that spawn, command and kill zerglings over keep-alive connections.

They keep a ledger, which ``verdict`` compares with what the store has afterwards.
"""

from __future__ import annotations

import http.client
import json
import logging
import random
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from tests.proof.load.ledger import Answers, Fate, Ledger, Life, Message, Sent
from tests.support.service import Reply, Service
from tests.support.waiting import wait_until
from zerglings.domain.pose import Pose

logger = logging.getLogger(__name__)

ANSWER_DEADLINE = 20.0
"""Seconds after which a client regards a response as lost."""

LAST_TRIES = 10.0
"""Seconds after a run for which requests with unknown outcome are repeated."""

REPEATED = 1 / 3
"""Share of acknowledged commands that are repeated with their key."""

ABANDONED = 0.05
"""Probability that a client gives up after an attempt with unknown outcome."""

IN_VAIN = 0.02
"""Share of requests that must be rejected."""

TWINS = 0.03
"""Share of commands that are sent twice at the same moment."""

KEYLESS = 0.3
"""Share of commands without a key, which are not repeated once they may have been applied."""

KEYLESS_WORDS = 24
"""Length of such a command, whose letters are unique."""

AT_ONCE = 0.7
"""Share of immediate repeats; the others repeat one of the last few commands."""

PROGRESS_LIMIT = 60.0
"""Seconds within which a run makes progress, even while services or store restart."""

EXPECTED = {200, 201, 204, 400, 404, 409, 412, 503}


class Swarm:
    """Clients of one or more services over the same store.

    Args:
        services: where the clients send their requests: each has one of its own, and repeats go to
            any. Others may take their place during a run (``send_to``).
        clients: how many at once.
        zerglings: how many live at a time.
        quota: commands of each client; None: until the end of the run.
        deaths: part of the requests that are to end a life.
        is_cluster: whether the store may keep rivals, whose merging changes the order of histories.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        clients: int,
        zerglings: int,
        quota: int | None = None,
        deaths: float = 0.004,
        is_cluster: bool = False,
    ) -> None:
        self.services = services
        self.clients = clients
        self.zerglings = zerglings
        self.quota = quota
        self.deaths = deaths
        self.is_cluster = is_cluster
        self.ledger = Ledger()
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.ended_at = float("inf")
        self.rounds = [0] * clients

    def send_to(self, services: Sequence[Service]) -> None:
        """Send all further requests to these services, as a load balancer does."""
        self.services = tuple(services)

    @contextmanager
    def run(self) -> Iterator[None]:
        """Run the clients during the block; with a quota, until all of them completed it."""
        with closing(self.client(0)) as first:
            for _ in range(self.zerglings):
                first.spawn()
        assert len(self.ledger.lives) == self.zerglings
        with ThreadPoolExecutor(self.clients) as pool:
            working = [pool.submit(self.client(number).work) for number in range(self.clients)]
            try:
                yield
                if self.quota is not None:
                    for done in working:
                        done.result()
            finally:
                self.ended_at = time.monotonic()
                self.over.set()
            for done in working:
                done.result()

    def client(self, number: int) -> Client:
        """Return a new client."""
        return Client(self, number)

    def wait_for_more(self, acknowledged: int) -> None:
        """Wait until so many more requests are acknowledged."""
        enough = self.ledger.acknowledged + acknowledged
        wait_until(
            lambda: self.ledger.acknowledged >= enough, "the zerglings move on", PROGRESS_LIMIT
        )

    def wait_for_round(self) -> None:
        """Wait until every client has completed its current request."""
        before = list(self.rounds)
        wait_until(
            lambda: all(now > then for now, then in zip(self.rounds, before, strict=True)),
            "every client begins another request",
            PROGRESS_LIMIT,
        )

    def target(self) -> Life:
        """Return a zergling to command: usually a living one, sometimes a dead one."""
        with self.lock:
            living = [life for life in self.ledger.lives if not life.died]
            if not living or random.random() < 0.02:
                return random.choice(self.ledger.lives)
            return random.choice(living)


class Client:
    """One client: one thread, one connection to each service."""

    def __init__(self, swarm: Swarm, number: int) -> None:
        self._swarm = swarm
        self._number = number
        self._ledger = swarm.ledger
        self._connections: dict[tuple[Service, int], http.client.HTTPConnection] = {}
        self._done: list[Sent] = []

    def work(self) -> None:
        """Send requests until the run is over or the quota is used up."""
        swarm = self._swarm
        with closing(self):
            while not swarm.over.is_set() and len(self._done) != swarm.quota:
                self.act()

    def act(self) -> None:
        """Perform one random action."""
        swarm, dice = self._swarm, random.random()
        if dice < swarm.deaths:
            self.kill(swarm.target())
        elif dice < swarm.deaths + IN_VAIN:
            self.command_in_vain(swarm.target())
        else:
            self.command(swarm.target())

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def spawn(self) -> None:
        """Spawn a zergling somewhere; send half of the spawns twice with the same key."""
        x, y, facing = random.randint(-9, 9), random.randint(-9, 9), random.choice("NESW")
        body = json.dumps({"location": {"x": x, "y": y}, "facing": facing})
        headers = {"Idempotency-Key": uuid.uuid4().hex, "Content-Type": "application/json"}
        ids = set()
        for _ in range(random.randint(1, 2)):
            answers = self._pursue(Message("POST", "/zerglings/", body, headers))
            if answers.status == 201 and answers.reply:
                ids.add(answers.reply.json["zergling"]["id"])
        with self._swarm.lock:
            self._ledger.unknown_spawns += not ids
            self._ledger.lives += [Life(id_, Pose(x, y, facing)) for id_ in ids]
            self._ledger.complain_if(len(ids) > 1, f"one key spawned {ids}")

    def kill(self, life: Life) -> None:
        """Delete a zergling and replace it."""
        was_dead = life.died
        life.was_to_die = True
        answers = self._pursue(Message("DELETE", f"/zerglings/{life.id}"))
        with self._swarm.lock:
            self._ledger.complain_if(was_dead and answers.status == 204, f"{life.id} died twice")
            self._ledger.deaths += answers.status == 204
        if answers.status in (204, 404):
            self._bury(life)

    def _bury(self, life: Life) -> None:
        """Record a death and choose a new zergling."""
        with self._swarm.lock:
            is_news, life.died = not life.died, True
        if is_news:
            self.spawn()

    def command_in_vain(self, life: Life) -> None:
        """Send an invalid command, or one with a precondition that never holds."""
        sent = Sent(life, "ML", uuid.uuid4().hex)
        right = sent.message
        wrong, status = random.choice(
            [
                (replace(right, body="MLX"), 400),
                (replace(right, headers={**right.headers, "If-Match": '"1-0"'}), 412),
            ]
        )
        answers = self._pursue(wrong)
        with self._swarm.lock:
            self._ledger.enter(sent, Fate.REFUSED)
            is_refused = answers.status in (status, 404, None)
            self._ledger.complain_if(not is_refused, f"{wrong} was answered {answers.status}")

    def command(self, life: Life) -> None:
        """Send a command of one or more letters; repeat a third of them with their key."""
        was_dead = life.died
        sent = self._some_command(life)
        is_twin = sent.key is not None and random.random() < TWINS
        answers = self._pursue(sent.message, is_twin=is_twin)
        self._enter(sent, answers, was_dead=was_dead)
        self._done.append(sent)
        if answers.reply and answers.status == 200 and answers.attempts == 1 and not is_twin:
            with self._swarm.lock:
                self._check_answer(sent, answers.reply.json["zergling"])
        if random.random() < REPEATED:
            self._repeat(sent if random.random() < AT_ONCE else random.choice(self._done[-8:]))

    def _enter(self, sent: Sent, answers: Answers, *, was_dead: bool) -> None:
        """Record the outcome of a command, and complain if it is impossible."""
        life, status = sent.life, answers.status
        sent.ended = time.monotonic()
        with self._swarm.lock:
            self._ledger.enter(sent, answers.fate)
            self._ledger.complain_if(was_dead and status == 200, f"{life.id} is back")
            is_right = life.may_answer(status)
            self._ledger.complain_if(not is_right, f"{sent.name} of {life.id} got a {status}")
        if status == 404:
            self._bury(life)

    def _some_command(self, life: Life) -> Sent:
        if random.random() < KEYLESS:
            return Sent(life, "".join(random.choices("MLR", k=KEYLESS_WORDS)), None)
        return Sent(life, some_words(), uuid.uuid4().hex)

    def _repeat(self, sent: Sent) -> None:
        """Repeat an acknowledged command with its key; it must have no second effect."""
        if sent.fate is not Fate.ACKNOWLEDGED or sent.key is None:
            return
        was_dead = sent.life.died
        status = self._pursue(sent.message, anywhere=True).status
        with self._swarm.lock:
            is_right = sent.life.may_answer(status)
            self._ledger.repeats[status] += 1
            self._ledger.complain_if(was_dead and status == 200, f"{sent.life.id} was shown dead")
            self._ledger.complain_if(not is_right, f"the repeat of {sent.key} got a {status}")

    def _check_answer(self, sent: Sent, shown: Mapping[str, Any]) -> None:
        """Check that the state in the response contains the command.

        It need not be the last one: rivals may have been merged at once, or the service had to look
        what became of its write, after which others may have commanded too.
        """
        words, history = "".join(sent.request.words), "".join(shown["commandHistory"])
        is_shown = words in history or self._swarm.is_cluster
        is_right = is_shown and shown["id"] == sent.life.id
        self._ledger.complain_if(not is_right, f"{sent.name} was answered with another state")

    def _pursue(
        self,
        message: Message,
        *,
        anywhere: bool = False,
        is_twin: bool = False,
        stays: bool = False,
    ) -> Answers:
        """Send a message until its outcome is known, the client gives up or the run has ended.

        A twin is sent at the same moment as the message itself, over a connection of its own.
        Further attempts go to any service, or to the same one if the message ``stays``.
        """
        swarm = self._swarm
        answers = Answers()
        while True:
            swarm.rounds[self._number] += 1
            services = swarm.services
            self._leave_all_but(services)
            talks = [self._connection(self._choose(services, anywhere=anywhere), 0)]
            if is_twin:
                talks.append(self._connection(random.choice(services), 1))
            for reply in self._attempt(message, talks):
                answers.add(reply)
            for used in talks[1:]:
                used.close()
            answers.attempts += 1
            late = time.monotonic() - swarm.ended_at > LAST_TRIES
            is_lost = answers.is_doubtful and message.is_once
            if answers.status is not None or late or is_lost or random.random() < ABANDONED:
                return answers
            anywhere, is_twin = not stays, False
            time.sleep(random.uniform(0, answers.pause))  # as a polite client does

    def _choose(self, services: Sequence[Service], *, anywhere: bool) -> Service:
        """Return the service for the next attempt: this client's own, or any."""
        return random.choice(services) if anywhere else services[self._number % len(services)]

    def _attempt(
        self, message: Message, talks: Sequence[http.client.HTTPConnection]
    ) -> list[Reply | None]:
        """Send a message over each connection at the same moment; None is a lost response."""
        began = time.monotonic()
        for talk in talks:
            _send(talk, message)
        replies = [_receive(talk) for talk in talks]
        seconds = time.monotonic() - began
        with self._swarm.lock:
            self._ledger.slowest = max(self._ledger.slowest, seconds)
            self._ledger.statuses.update(reply.status if reply else None for reply in replies)
        return replies

    def _leave_all_but(self, services: Sequence[Service]) -> None:
        for place in [place for place in self._connections if place[0] not in services]:
            self._connections.pop(place).close()

    def _connection(self, service: Service, number: int) -> http.client.HTTPConnection:
        place = (service, number)
        if place not in self._connections:
            self._connections[place] = service.connect()
            self._connections[place].timeout = ANSWER_DEADLINE
        return self._connections[place]


def _send(talk: http.client.HTTPConnection, message: Message) -> None:
    headers = {"Content-Type": "text/plain", **message.headers}
    try:
        talk.request(message.method, message.path, message.body, headers)
    except (OSError, http.client.HTTPException):
        talk.close()


def _receive(talk: http.client.HTTPConnection) -> Reply | None:
    try:
        response = talk.getresponse()
        return Reply(response.status, response.headers, response.read())
    except (OSError, http.client.HTTPException):
        talk.close()
        return None


def some_words() -> str:
    length = random.choices((1, random.randint(2, 5), random.randint(6, 20)), (70, 28, 2))[0]
    return "".join(random.choices("MLR", (3, 1, 1), k=length))
