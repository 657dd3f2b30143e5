"""The kinds of requests that the benchmark measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.shares import Spread

ZERGLINGS = 1000

Side = Literal["service", "base", "replicas", "raw", "baseline"]
"""The service, the service of another checkout, several replicas of the service on one database,
the raw store, and a plain Django service."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request: its target, its wrk script and the number of zerglings it uses.

    Without zerglings, it asks for `PROBE`.
    """

    name: str
    side: Side
    script: str
    thread_each: bool = False
    zerglings: int = ZERGLINGS
    spread: Spread = "one"

    @property
    def needs_new_zerglings(self) -> bool:
        """Whether it cannot use zerglings that another kind of the round has used.

        Replicas remember revisions, so that the spread of the kind before would count.
        """
        return self.side == "replicas" or self.zerglings < ZERGLINGS


KINDS = (
    Kind("probes", "service", "read", zerglings=0),
    Kind("base-probes", "base", "read", zerglings=0),
    Kind("reads", "service", "read"),
    Kind("base-reads", "base", "read"),
    Kind("gets", "raw", "read"),
    Kind("baseline-reads", "baseline", "read"),
    Kind("moves", "service", "move"),
    Kind("base-moves", "base", "move"),
    Kind("pairs", "raw", "pair", thread_each=True),
    Kind("baseline-moves", "baseline", "move"),
    Kind("replicas-one", "replicas", "move"),
    Kind("replicas-random", "replicas", "move", spread="random"),
    Kind("replicas-path", "replicas", "move", spread="path"),
    Kind("spawns", "service", "spawn"),
    Kind("base-spawns", "base", "spawn"),
    Kind("puts", "raw", "put"),
    Kind("baseline-spawns", "baseline", "spawn"),
    Kind("mix", "service", "mix"),
    Kind("baseline-mix", "baseline", "mix"),
    Kind("hot", "service", "move", zerglings=1),
    Kind("baseline-hot", "baseline", "move", zerglings=1),
)
