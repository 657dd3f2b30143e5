"""The plan of a run, read from the environment variables of ``make bench``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.kinds import KINDS

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("lists", "histories", "memory")
SMALLEST_LIST, LARGEST_LIST = 3, 6
SETUP_ALLOWANCE = 1800
"""Timeout in seconds for everything besides the cells; doubled for a list of 10^6."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and for how long.

    ``store_url`` is empty for the embedded store. Each of ``rounds`` measures each cell for
    ``seconds``. The longest list has 10 to the power of ``lists`` zerglings. ``base`` is another
    checkout to compare with.
    """

    store_url: str
    seconds: int
    rounds: int
    connections: tuple[int, ...]
    only: frozenset[str]
    lists: int
    merges: int
    moves: int
    out: Path
    checkout: Path
    base: Path | None

    def has(self, name: str) -> bool:
        """Whether a kind of request or a part is to be measured."""
        return not self.only or name in self.only or name.partition("-")[0] in self.only

    @property
    def deadline(self) -> int:
        """Seconds after which the run is aborted."""
        cells = len(KINDS) * len(self.connections) * self.rounds * self.seconds
        return 3 * cells + SETUP_ALLOWANCE * (2 if self.lists == LARGEST_LIST else 1)


def plan_from(environment: Mapping[str, str]) -> Plan:
    """Read the variables that ``bench/README.md`` lists.

    Raises:
        BenchError: a value is invalid.
    """
    is_quick = bool(environment.get("QUICK"))
    is_full = bool(environment.get("FULL"))

    def number(name: str, default: int, least: int, most: int) -> int:
        value = environment.get(name) or str(default)
        if not value.isdecimal() or not least <= int(value) <= most:
            raise BenchError(f"{name}: {value!r} is not a whole number from {least} to {most}")
        return int(value)

    return Plan(
        store_url=environment.get("STORE_URL", "").rstrip("/"),
        seconds=number("BENCH_SECONDS", 2 if is_quick else 5, 1, 600),
        rounds=number("BENCH_ROUNDS", 1 if is_quick else 3, 1, 100),
        connections=_connections(environment.get("BENCH_CONNECTIONS"), is_quick=is_quick),
        only=_only(environment.get("ONLY", "")),
        lists=number("LISTS", 4 if is_quick else 6 if is_full else 5, SMALLEST_LIST, LARGEST_LIST),
        merges=number("BENCH_MERGES", 100 if is_quick else 1000, 1, 100_000),
        moves=number("BENCH_MOVES", 100 if is_quick else 300, 1, 100_000),
        out=ROOT / (environment.get("BENCH_OUT") or "var/bench.json"),
        checkout=Path(environment.get("BENCH_CHECKOUT") or ROOT).resolve(),
        base=_base(environment.get("BASE", "")),
    )


def _base(text: str) -> Path | None:
    if not text:
        return None
    path = Path(text).resolve()
    if not (path / "manage.py").is_file():
        raise BenchError(f"BASE: {text!r} is not a checkout of the service")
    return path


def _connections(text: str | None, *, is_quick: bool) -> tuple[int, ...]:
    words = (text or ("1,64" if is_quick else "1,8,32,64,256")).split(",")
    if not all(word.strip().isdecimal() and 0 < int(word) <= 1000 for word in words):
        raise BenchError(f"BENCH_CONNECTIONS: {text!r} is not a list of numbers from 1 to 1000")
    return tuple(int(word) for word in words)


def _only(text: str) -> frozenset[str]:
    names = frozenset(word.strip() for word in text.split(",") if word.strip())
    known = {"base", "baseline", "replicas", *PARTS, *(kind.name for kind in KINDS)}
    if unknown := names - known:
        raise BenchError(
            f"ONLY: {', '.join(sorted(unknown))} is not among {', '.join(sorted(known))}"
        )
    return names
