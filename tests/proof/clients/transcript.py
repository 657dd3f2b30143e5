"""What a client prints: a step's name, the status of the answer and its body.

The clients make the same calls in the same order, so that one transcript holds for all.
"""

from __future__ import annotations

import json
import re
from typing import Any

from overmind_project import __version__

Step = tuple[str, int, Any]

_NAMED = re.compile(
    r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|(?P<rev>\d+-[0-9a-f]{32})"
)
"""Values that differ in each run."""


def steps(printed: str) -> list[Step]:
    """Return what a client printed, with ids and revisions numbered as they appear."""
    names: dict[str, str] = {}

    def name(match: re.Match[str]) -> str:
        kind = match.lastgroup or ""
        count = sum(each.startswith(kind) for each in names.values())
        return names.setdefault(match[0], f"{kind}-{count + 1}")

    lines = [_NAMED.sub(name, line) for line in printed.splitlines()]
    return [(step, status, _in_order(body)) for step, status, body in map(json.loads, lines)]


def _in_order(body: Any) -> Any:
    """Return a body with its zerglings in the order of the names, not of the random ids."""
    if isinstance(body, dict) and "zerglings" in body and isinstance(body["zerglings"], list):
        return body | {"zerglings": sorted(body["zerglings"], key=lambda each: each["id"])}
    return body


def _summary(number: int, x: int = 0, y: int = 0, facing: str = "N") -> dict[str, Any]:
    return {"id": f"id-{number}", "location": {"x": x, "y": y}, "facing": facing}


def _zergling(number: int, x: int, y: int, facing: str, letters: str, rev: int) -> dict[str, Any]:
    more = {"commandHistory": list(letters), "_rev": f"rev-{rev}"}
    return {"zergling": _summary(number, x, y, facing) | more}


def _error(sentence: str) -> dict[str, Any]:
    return {"error": sentence}


_NOBODY = _error("There is no zergling with this id: GET /zerglings/ lists those that live.")
_STALE = _error("The zergling is at another revision: GET it, then decide again.")
_PLAIN_ENTRIES = (
    *("zerglings", "events", "regions", "schema", "docs"),
    *("healthz", "readyz", "metrics"),
)
_FOREIGN = _error(
    "This request came from another site, or from no page at all: use the pages of this service."
)
_ENTRIES = {
    "swarmSpawn": "/swarm/spawn",
    "swarmCommands": "/swarm/commands",
    "health": "/_health",
    **{each: f"/{each}" for each in _PLAIN_ENTRIES},
}

TRANSCRIPT: list[Step] = [
    ("none yet", 200, {}),
    *(("spawned", 201, {"zergling": _summary(number)}) for number in (1, 2, 3)),
    ("all three", 200, {"zerglings": [_summary(number) for number in (1, 2, 3)]}),
    ("stepped", 200, _zergling(2, 0, 1, "N", "M", rev=1)),
    ("turned", 200, _zergling(2, 0, 1, "W", "ML", rev=2)),
    ("stepped again", 200, _zergling(2, -1, 1, "W", "MLM", rev=3)),
    ("shown", 200, _zergling(2, -1, 1, "W", "MLM", rev=3)),
    ("not modified", 304, None),
    ("stale", 412, _STALE),
    ("current", 200, _zergling(2, -1, 1, "S", "MLML", rev=4)),
    ("kept", 412, _STALE),
    ("deleted", 204, None),
    ("gone", 404, _NOBODY),
    *[("spawned once", 201, {"zergling": _summary(4, 3, -4, "E")})] * 2,
    *[("moved once", 200, _zergling(1, 0, 1, "E", "MR", rev=5))] * 2,
    (
        "key reused",
        422,
        _error("This Idempotency-Key was used before with another body: choose a new key."),
    ),
    ("history", 200, {"commandHistory": ["M", "L", "M", "L"]}),
    ("page of the history", 200, {"commandHistory": ["M", "L", "M"]}),
    ("page of the history", 200, {"commandHistory": ["L"]}),
    ("page of the list", 200, 2),
    ("page of the list", 200, 1),
    (
        "swarm spawned",
        200,
        {
            "results": [
                {"status": 201, "zergling": _summary(number, 5, 5, "S")} for number in (5, 6)
            ]
        },
    ),
    (
        "swarm commanded",
        200,
        {
            "results": [
                {
                    "status": 200,
                    "zergling": _summary(1, 2, 1, "S") | {"commandCount": 5, "_rev": "rev-6"},
                },
                {"status": 404, **_NOBODY},
            ]
        },
    ),
    ("wrong command", 400, _error("'X' is not a command: send L, R or M.")),
    ("nobody", 404, _NOBODY),
    ("page too large", 400, _error("limit must be one whole number from 1 to 1000.")),
    ("entry points", 200, _ENTRIES),
    ("document", 200, "3.1.0"),
    ("regions", 200, {"region": None, "others": []}),
    ("health", 200, {"health": {"version": __version__, "brain": "ok"}}),
    ("alive", 200, {"status": "ok"}),
    ("ready", 200, {"status": "ready"}),
    ("metrics", 200, "text"),
    ("docs", 200, "text"),
    ("sign-in page", 200, "text"),
    ("sign-in", 403, _FOREIGN),
    ("sign-out", 403, _FOREIGN),
]

EVENTS: list[Step] = [("events", 200, "event: ready")]
"""The step of the client that can read a stream."""
