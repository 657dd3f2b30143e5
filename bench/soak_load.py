"""The mixed load of a soak: clients that pause between requests, and count the answers.

The number of zerglings and their average age stay constant, so that neither lists nor documents
grow: each zergling that dies is replaced, and those of a bulk spawn are deleted again. Each client
commands only its own zerglings, so that it knows their histories.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import orjson

from bench.service import Server
from bench.soak_report import Timed

ZERGLINGS = 4
"""Zerglings per client."""

LONGEST_LIFE = 400
"""Commands after which a zergling is replaced, so that the average age stays constant."""

THINK = (0.1, 0.3)
"""Minimum and maximum seconds between two requests of a client."""

RECONNECT = 0.05
"""Share of requests for which a client opens a new connection."""

LISTEN = 2.0
"""Maximum seconds for which a client reads an event stream."""

TIMEOUT = 20.0
OK, CREATED, GONE_WELL, BAD, MISSING = 200, 201, 204, 400, 404
BAD_BODIES = (b"X", b"{", b'{"command":7}', b'"' + b"M" * 1001 + b'"', b"\xff\xfe", b"[[[[]]]]")


@dataclass(slots=True)
class Life:
    """A zergling and its acknowledged commands, in order.

    ``is_unsure`` is set once a request has failed, because its commands may have been carried out.
    """

    id: str
    words: str = ""
    is_unsure: bool = False


class Load:
    """Clients that send all kinds of requests to a server."""

    def __init__(self, server: Server, clients: int) -> None:
        self._server = server
        self._over = threading.Event()
        self.timed: list[Timed] = []
        self._clients = [Client(server, self._over, self.timed) for _ in range(clients)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the clients during the block."""
        with ThreadPoolExecutor(len(self._clients)) as pool:
            working = [pool.submit(client.work) for client in self._clients]
            try:
                yield
            finally:
                self._over.set()
            for each in working:
                each.result()

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """Answers by kind of request: ``right``, another status, or ``no answer``."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for client in self._clients:
            for kind, answers in client.counts.items():
                counts[kind].update(answers)
        return counts

    def lost(self) -> int:
        """Return the number of zerglings whose history differs from the acknowledged commands.

        Zerglings with ``is_unsure`` do not count.
        """
        for client in self._clients:
            client.compare_all()
        return sum(client.lost for client in self._clients)


class Client:
    """A client with its own connection and its own zerglings."""

    def __init__(self, server: Server, over: threading.Event, timed: list[Timed]) -> None:
        self._server = server
        self._over = over
        self._timed = timed
        self._talk = server.connect(TIMEOUT)
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.lives: list[Life] = []
        self.lost = 0
        self._kinds: list[tuple[Callable[[], None], int]] = [
            (self._look, 30),
            (self._move, 40),
            (self._replace, 1),
            (self._list, 3),
            (self._page, 4),
            (self._swarm, 1),
            (self._listen, 1),
            (self._probe, 6),
            (self._scrape, 2),
            (self._err, 8),
        ]

    def work(self) -> None:
        """Send requests until the load is over."""
        while len(self.lives) < ZERGLINGS:
            self._spawn()
            self._command(self.lives[-1], random.randint(1, LONGEST_LIFE))
        kinds, weights = zip(*self._kinds, strict=True)
        while not self._over.wait(random.uniform(*THINK)):
            if random.random() < RECONNECT:
                self._talk.close()
            random.choices(kinds, weights)[0]()
        self._talk.close()

    def _ask(
        self, kind: str, method: str, path: str, body: bytes | None = None, *, wanted: int = OK
    ) -> bytes:
        """Send a request; record its duration and whether the status was ``wanted``."""
        began = time.monotonic()
        answer, got = "no answer", b""
        try:
            self._talk.request(method, path, body, {"Content-Type": "application/json"})
            response = self._talk.getresponse()
            got = response.read()
            answer = "right" if response.status == wanted else str(response.status)
        except (OSError, http.client.HTTPException):
            self._talk.close()
        ended = time.monotonic()
        self._timed.append((ended, ended - began))
        self.counts[kind][answer] += 1
        return got if answer == "right" else b""

    def _spawn(self) -> None:
        if got := self._ask("spawns", "POST", "/zerglings/", wanted=CREATED):
            self.lives.append(Life(orjson.loads(got)["zergling"]["id"]))

    def _look(self) -> None:
        self._ask("reads", "GET", f"/zerglings/{random.choice(self.lives).id}")

    def _move(self) -> None:
        life = random.choice(self.lives)
        self._command(life, random.choice((1, 1, 1, 5)))
        if len(life.words) > LONGEST_LIFE:
            self._end(life)

    def _command(self, life: Life, count: int) -> None:
        words = "".join(random.choices("MLR", k=count))
        if self._ask("moves", "POST", f"/zerglings/{life.id}", b'"%b"' % words.encode()):
            life.words += words
        else:
            life.is_unsure = True

    def compare_all(self) -> None:
        """Compare the living zerglings; the others were compared before their deletion."""
        for life in self.lives:
            self._compare(life)
        self._talk.close()

    def _compare(self, life: Life) -> None:
        got = self._ask("histories", "GET", f"/zerglings/{life.id}/history")
        if got and not life.is_unsure:
            self.lost += orjson.loads(got)["commandHistory"] != list(life.words)

    def _replace(self) -> None:
        self._end(random.choice(self.lives))

    def _end(self, life: Life) -> None:
        self.lives.remove(life)
        self._compare(life)
        self._kill(life.id)
        self._spawn()

    def _kill(self, id_: str) -> None:
        self._ask("deaths", "DELETE", f"/zerglings/{id_}", wanted=GONE_WELL)

    def _list(self) -> None:
        self._ask("lists", "GET", "/zerglings/")

    def _page(self) -> None:
        self._ask("pages", "GET", "/zerglings/?limit=20")

    def _swarm(self) -> None:
        got = self._ask("swarm spawns", "POST", "/swarm/spawn", b'{"count":3}')
        results = orjson.loads(got)["results"] if got else []
        ids = [result["zergling"]["id"] for result in results if "zergling" in result]
        commands = {"commands": [{"id": id_, "command": "MM"} for id_ in ids]}
        if ids:
            self._ask("swarm commands", "POST", "/swarm/commands", orjson.dumps(commands))
        for id_ in ids:
            self._kill(id_)

    def _listen(self) -> None:
        """Open an event stream, read it for a short time and disconnect."""
        talk = self._server.connect(TIMEOUT)
        answer = "no answer"
        with suppress(OSError, http.client.HTTPException):
            talk.request("GET", "/events", headers={"Accept": "text/event-stream"})
            response = talk.getresponse()
            end = time.monotonic() + random.uniform(0, LISTEN)
            while response.status == OK and time.monotonic() < end:
                response.readline()
            answer = "right" if response.status == OK else str(response.status)
        talk.close()
        self.counts["event streams"][answer] += 1

    def _probe(self) -> None:
        self._ask("probes", "GET", random.choice(("/healthz", "/readyz", "/_health")))

    def _scrape(self) -> None:
        self._ask("scrapes", "GET", "/metrics")

    def _err(self) -> None:
        path = f"/zerglings/{random.choice(self.lives).id}"
        if random.random() < 0.5:
            self._ask("bad bodies", "POST", path, random.choice(BAD_BODIES), wanted=BAD)
        else:
            self._ask("bad paths", "GET", f"{path}x{random.getrandbits(40):x}", wanted=MISSING)
