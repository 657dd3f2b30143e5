"""A load generator that also reads zerglings, lists them and makes bulk calls.

Each item of a bulk call is entered in the ledger like a command of its own.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from tests.proof.load.ledger import Answers, Fate, Life, Message, Sent
from tests.proof.load.swarm import ABANDONED, LAST_TRIES, REPEATED, Client, Swarm, some_words
from tests.support.service import Reply
from zerglings.domain.pose import Pose
from zerglings.hive.bulk import item_key

READS, LISTS, CALLS, SPAWNS = 0.15, 0.005, 0.02, 0.003
"""Shares of a client's actions: reads, lists, bulk commands and bulk spawns."""

ITEMS = 12
"""Maximum number of commands per call."""

BROOD = 3
"""Maximum number of spawns per call."""


class MixedSwarm(Swarm):
    """A swarm whose clients also read, list, and make bulk calls."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.counts: dict[str, int] = {}
        """How many commands a zergling had at least, as some client was shown."""

    def client(self, number: int) -> Client:
        """Return a new client."""
        return MixedClient(self, number)

    def note(self, shown: Mapping[str, Any], at_least: int = 0) -> None:
        """Record the state of a zergling in a response, which never goes back."""
        id_, count = shown["id"], count_of(shown)
        with self.lock:
            self.ledger.complain_if(count < at_least, f"{id_} went back to {count} commands")
            self.counts[id_] = max(count, self.counts.get(id_, 0))


def count_of(shown: Mapping[str, Any]) -> int:
    """Return the number of commands of a zergling, shown or counted."""
    count: int = shown.get("commandCount", len(shown.get("commandHistory", ())))
    return count


class MixedClient(Client):
    """One client of a mixed swarm."""

    _swarm: MixedSwarm

    def act(self) -> None:
        """Perform one random action."""
        (does,) = random.choices(
            (self.read, self.list_all, self.command_many, self.spawn_many, super().act),
            (READS, LISTS, CALLS, SPAWNS, 1 - READS - LISTS - CALLS - SPAWNS),
        )
        does()

    def read(self) -> None:
        """Read a zergling; it must show at least what was shown before."""
        life, swarm = self._swarm.target(), self._swarm
        was_dead, before = life.died, swarm.counts.get(life.id, 0)
        answers = self._pursue(Message("GET", f"/zerglings/{life.id}"), anywhere=True)
        with swarm.lock:
            is_right = life.may_answer(answers.status)
            self._ledger.complain_if(not is_right, f"GET {life.id} got a {answers.status}")
            self._ledger.complain_if(was_dead and answers.status == 200, f"{life.id} was read dead")
        if answers.reply and answers.status == 200:
            swarm.note(answers.reply.json["zergling"], before)

    def list_all(self) -> None:
        """List all zerglings; it must contain the living ones and no dead ones."""
        with self._swarm.lock:
            living = {life.id for life in self._ledger.lives if not life.was_to_die}
            dead = {life.id for life in self._ledger.lives if life.died}
        reply = self._pursue(Message("GET", "/zerglings/"), anywhere=True).reply
        if reply is None:
            return
        shown = {zergling["id"] for zergling in reply.json["zerglings"]}
        with self._swarm.lock:
            doomed = {life.id for life in self._ledger.lives if life.was_to_die}
            missing = living - doomed - shown
            self._ledger.complain_if(bool(missing), f"{missing} are not listed")
            self._ledger.complain_if(bool(dead & shown), f"{dead & shown} are listed dead")

    def command_many(self) -> None:
        """Command some zerglings in one call; repeat a third of the calls with their key."""
        key = uuid.uuid4().hex
        sent = [
            Sent(self._swarm.target(), some_words(), item_key(key, number) or "")
            for number in range(random.randint(2, ITEMS))
        ]
        orders = [{"id": one.life.id, "command": one.words} for one in sent]
        message = _call("/swarm/commands", key, {"commands": orders})
        dead = [one.life.died for one in sent]
        results = self._pursue_all(message, len(sent))
        for one, was_dead, answers in zip(sent, dead, results, strict=True):
            self._enter(one, answers, was_dead=was_dead)
        if random.random() < REPEATED and all(answers.status for answers in results):
            self._repeat_call(message, sent)

    def spawn_many(self) -> None:
        """Spawn some zerglings in one call; send half of the calls twice with the same key."""
        count, facing = random.randint(1, BROOD), random.choice("NESW")
        message = _call("/swarm/spawn", uuid.uuid4().hex, {"count": count, "facing": facing})
        broods = [self._pursue_all(message, count) for _ in range(random.randint(1, 2))]
        for attempts in zip(*broods, strict=True):
            ids = {
                answers.reply.json["zergling"]["id"]
                for answers in attempts
                if answers.reply and answers.status == 201
            }
            with self._swarm.lock:
                self._ledger.unknown_spawns += not ids
                self._ledger.lives += [Life(id_, Pose(facing=facing)) for id_ in ids]
                self._ledger.complain_if(len(ids) > 1, f"one item of a call spawned {ids}")

    def _check_answer(self, sent: Sent, shown: Mapping[str, Any]) -> None:
        super()._check_answer(sent, shown)
        count = count_of(shown)  # the ledger's lock is held here
        self._swarm.counts[sent.life.id] = max(count, self._swarm.counts.get(sent.life.id, 0))

    def _repeat_call(self, message: Message, sent: Sequence[Sent]) -> None:
        """Repeat a call; it must have no second effect."""
        for one, answers in zip(sent, self._pursue_all(message, len(sent)), strict=True):
            with self._swarm.lock:
                is_right = one.life.may_answer(answers.status)
                is_wrong = one.fate is Fate.ACKNOWLEDGED and not is_right
                self._ledger.repeats[answers.status] += 1
                self._ledger.complain_if(is_wrong, f"the repeat of {one.key}: {answers.status}")

    def _pursue_all(self, message: Message, count: int) -> list[Answers]:
        """Repeat a call until the outcome of each item is known or the client gives up."""
        results = [Answers() for _ in range(count)]
        while True:
            answers = self._pursue(message)
            for result in results:
                result.is_doubtful |= answers.is_doubtful and result.status is None
            if answers.reply:
                self._take(answers.reply, results)
            late = time.monotonic() - self._swarm.ended_at > LAST_TRIES
            is_known = all(result.status is not None for result in results)
            if is_known or late or random.random() < ABANDONED:
                return results
            time.sleep(random.uniform(0, answers.pause))  # as a polite client does

    def _take(self, reply: Reply, results: Sequence[Answers]) -> None:
        """Record each item's part of a response."""
        if reply.status != 200:
            with self._swarm.lock:
                self._ledger.complaints.append(f"a call was answered {reply.status}")
            return
        items = reply.json["results"]
        for item, result in zip(items, results, strict=True):
            result.add(Reply(item["status"], reply.headers, json.dumps(item).encode()))


def _call(path: str, key: str, body: Mapping[str, Any]) -> Message:
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    return Message("POST", path, json.dumps(body), headers)
