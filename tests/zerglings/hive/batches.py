"""A write batch over a store that can fail, and the mutations that tests give it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest

from tests.support.documents import read
from tests.support.faulty_store import FaultyStore
from zerglings.domain.document_format import decode
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.mutations import CommandMutation, Precondition, SpawnMutation
from zerglings.hive.write_batch import WriteBatch


@dataclass
class Harness:
    """A write batch and the store below it, which can fail."""

    store: FaultyStore
    flush: WriteBatch

    def spawn(self, pose: Pose | None = None) -> Zergling:
        newborn = Zergling.spawned(str(uuid.uuid4()), pose or Pose())
        change = SpawnMutation(newborn, is_keyed=False)
        self.flush([change])
        return change.outcome()

    def stored(self, zergling: Zergling) -> Zergling:
        return decode(read(self.store, zergling.id))


def command(
    zergling: Zergling, commands: str, condition: Precondition | None = None, key: str | None = None
) -> CommandMutation:
    return CommandMutation(zergling.id, CommandRequest.command(commands, key), condition)


def if_revision(revision: str | None) -> Precondition:
    return lambda zergling: zergling.revision == revision


def error_of(change: CommandMutation | SpawnMutation) -> type[BaseException]:
    assert change.is_answered
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is, it is returned
        change.outcome()
    return caught.type
