"""Real requests that produce each response described in the OpenAPI document."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.support.tokens import READER, STRANGER, WRITER, bearer
from zerglings.domain.zergling import COORDINATE_LIMIT
from zerglings.feed.reader import FeedEnded, TooManyForCaller, TooManyListeners
from zerglings.hive.mutations import NoSuchZergling, TagAltered
from zerglings.repository.retry_budget import TooMuchContention
from zerglings.storage.base import (
    AccountRefused,
    NotBootstrapped,
    OutcomeUnknown,
    StoreUnavailable,
    WriteFailed,
)

JSON, TEXT, BYTES = "application/json", "text/plain", "application/octet-stream"
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
PICTURE = {"Accept": "image/png"}
PAGE = {"Accept": "text/html"}
TABLE = {"Accept": "text/csv"}
KEY = "order-66/1"
NOBODY = str(uuid.uuid4())
UNPREPARED = "the database 'zerglings' does not exist"

TOO_MANY = json.dumps({"commands": [{"id": "{id}", "command": "M" * 501}] * 2})


@dataclass(frozen=True)
class Case:
    """One request and the status and example of its answer.

    ``{id}`` in the operation's path and the body stands for a zergling that lives, unless
    ``is_nobody``. ``before`` is the body of an earlier request under the same headers. ``fault`` is
    what the hive raises. ``is_closed`` asks for a token.
    """

    operation: str
    status: int
    says: str = ""
    body: str = ""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    spawn: dict[str, Any] = field(default_factory=dict)
    before: str | None = None
    is_nobody: bool = False
    fault: Exception | None = None
    is_closed: bool = False

    def __str__(self) -> str:
        return f"{self.operation} {self.status} {self.says}".strip()

    @property
    def method(self) -> str:
        return self.operation.split()[0]

    def path(self, zergling_id: str) -> str:
        path = self.operation.split()[1]
        return path.replace("{id}", zergling_id) + (f"?{self.query}" if self.query else "")


def _multipart(**fields: str) -> str:
    parts = (
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return "".join(parts) + "--x--\r\n"


def _shared(operation: str, *statuses: int, body: str = "") -> list[Case]:
    """Return a case for each error that many operations share."""
    writes = "/zerglings" in operation and not operation.startswith("GET")
    shared = {
        404: Case(operation, 404, "An unknown id", body, is_nobody=True),
        406: Case(operation, 406, "A picture", body, headers=PICTURE),
        409: Case(operation, 409, "Contention", body, fault=TooMuchContention()),
        412: Case(operation, 412, "Another revision", body, headers={"If-Match": '"7-0a"'}),
        415: Case(operation, 415, "A picture", "GIF89a", "image/gif"),
    }
    away = [
        Case(operation, 503, "No answer", body, fault=StoreUnavailable("away")),
        Case(operation, 503, "Not prepared", body, fault=NotBootstrapped("no database")),
        Case(operation, 503, "Account refused", body, fault=AccountRefused("wrong password")),
    ]
    in_doubt = [
        Case(operation, 503, "Outcome unknown", body, fault=OutcomeUnknown("lost")),
        Case(operation, 503, "Write failed", body, fault=WriteFailed("CouchDB answered 500")),
    ]
    return [shared[status] for status in statuses] + away + (in_doubt if writes else [])


def _refused(operation: str) -> list[Case]:
    """Return a case for each 401 and 403 of an operation."""

    def case(status: int, says: str, headers: dict[str, str]) -> Case:
        return Case(operation, status, says, headers=headers, is_closed=True)

    found = [case(401, "No token", {}), case(401, "An unknown token", bearer(STRANGER))]
    found.append(Case(operation, 401, headers=PAGE, is_closed=True))
    if not operation.startswith("GET"):
        found.append(case(403, "A token that may only read", bearer(READER)))
        found.append(case(403, "Another site", {"Cookie": f"overmind-token={WRITER}"}))
    return found


LIST, SPAWN = "GET /zerglings", "POST /zerglings"
SHOW, COMMAND, KILL = "GET /zerglings/{id}", "POST /zerglings/{id}", "DELETE /zerglings/{id}"
HISTORY, EVENTS = "GET /zerglings/{id}/history", "GET /events"

SIGN_IN, SIGN_OUT = "POST /sign-in", "POST /sign-out"
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
ASKS_NOBODY = ("/_health", "/healthz", "/readyz", "/sign-in", "/sign-out")

SWARM_SPAWN, SWARM_COMMANDS = "POST /swarm/spawn", "POST /swarm/commands"
ORDERS = '{"commands": [{"id": "{id}", "command": "MMRM"}]}'

NO_KEY = {"Idempotency-Key": "not visible"}
NO_TAG = {"If-Match": "2-5f0a", "If-None-Match": "2-5f0a"}
KEYED = {"Idempotency-Key": KEY}
EDGE = {"location": {"x": COORDINATE_LIMIT, "y": 0}, "facing": "E"}

CASES: list[Case] = [
    Case(LIST, 200),
    Case(LIST, 200, query="limit=1"),
    Case(LIST, 200, headers=PAGE),
    Case(LIST, 200, query="format=csv"),
    Case(LIST, 200, query="format=csv&limit=1"),
    Case(LIST, 200, headers=TABLE),
    Case(LIST, 400, "A page too large", query="limit=1001"),
    Case(LIST, 400, "An invalid id", query="after=me"),
    Case(LIST, 400, "An invalid id", query="after=me&format=csv"),
    *_shared(LIST, 406),
    Case(LIST, 406, "A picture", query="format=gif"),
    Case(SPAWN, 201),
    Case(SPAWN, 201, body='{"location": {"x": 3, "y": -4}, "facing": "E"}'),
    Case(
        SPAWN,
        201,
        body=_multipart(**{"location.x": "3", "location.y": "-4"}),
        content_type=MULTIPART,
    ),
    Case(SPAWN, 201, body="M", content_type=FORM),
    Case(SPAWN, 201, body="M", content_type=TEXT),
    Case(SPAWN, 201, body="M", content_type=BYTES),
    Case(SPAWN, 201, headers=KEYED, before=""),
    Case(SPAWN, 201, headers=PAGE),
    Case(SPAWN, 400, "An invalid location", '{"location": {"x": 1.5, "y": 0}}'),
    Case(SPAWN, 400, "Half a location", '{"location": {"x": 1}}'),
    Case(SPAWN, 400, "An invalid facing", '{"facing": "north"}'),
    Case(SPAWN, 400, "An unknown field", '{"colour": "red"}'),
    Case(SPAWN, 400, "Cut off JSON", '{"facing":'),
    Case(SPAWN, 400, "An invalid key", headers=NO_KEY),
    Case(SPAWN, 422, "Used before", '{"facing": "W"}', headers=KEYED, before=""),
    Case(SPAWN, 404, "An unknown id", fault=NoSuchZergling()),
    *_shared(SPAWN, 406, 409, 415),
    Case(SHOW, 200),
    Case(SHOW, 200, headers=PAGE),
    Case(SHOW, 304, headers={"If-None-Match": "*"}),
    Case(SHOW, 200, headers=NO_TAG),
    *_shared(SHOW, 404, 406),
    Case(COMMAND, 200, body='"MMRM"'),
    Case(COMMAND, 200, body='["M", "L"]'),
    Case(COMMAND, 200, body='{"command": "MMRM"}'),
    Case(COMMAND, 200, body="MMRM", content_type=TEXT),
    Case(COMMAND, 200, body="MMRM", content_type=BYTES),
    Case(COMMAND, 200, body="command=MMRM", content_type=FORM),
    Case(COMMAND, 200, body=_multipart(command="MMRM"), content_type=MULTIPART),
    Case(COMMAND, 200, body='"M"', headers=KEYED, before='"M"'),
    Case(COMMAND, 200, body='"M"', headers=PAGE),
    Case(COMMAND, 400, "No such command", '"X"'),
    Case(COMMAND, 400, "No command"),
    Case(COMMAND, 400, "Too many at once", json.dumps("M" * 1001)),
    Case(COMMAND, 400, "Neither string nor list", '{"command": 1}'),
    Case(COMMAND, 400, "An unknown field", '{"order": "M"}'),
    Case(COMMAND, 400, "Over the edge", '"M"', spawn=EDGE),
    Case(COMMAND, 400, "Cut off JSON", '{"command":'),
    Case(COMMAND, 400, "An invalid key", '"M"', headers=NO_KEY),
    Case(COMMAND, 400, "An invalid condition", '"M"', headers=NO_TAG),
    Case(COMMAND, 422, "Used before", '"L"', headers=KEYED, before='"M"'),
    Case(COMMAND, 412, "An altered tag", '"M"', fault=TagAltered()),
    *_shared(COMMAND, 404, 406, 409, 412, 415, body='"M"'),
    Case(KILL, 204),
    Case(KILL, 200, headers=PAGE),
    Case(KILL, 400, "An invalid condition", headers=NO_TAG),
    Case(KILL, 412, "An altered tag", fault=TagAltered()),
    *_shared(KILL, 404, 406, 409, 412),
    Case(HISTORY, 200),
    Case(HISTORY, 200, query="limit=1&offset=0"),
    Case(HISTORY, 200, headers=PAGE),
    Case(HISTORY, 400, "A page too large", query="limit=1001"),
    Case(HISTORY, 400, "A negative offset", query="offset=-1"),
    *_shared(HISTORY, 404, 406),
    Case(SWARM_SPAWN, 200, body='{"count": 2, "location": {"x": 3, "y": -4}, "facing": "E"}'),
    Case(SWARM_SPAWN, 200, body=_multipart(count="2"), content_type=MULTIPART),
    Case(SWARM_SPAWN, 200, body='{"count": 2}', headers=PAGE),
    Case(SWARM_SPAWN, 400, "No count", "{}"),
    Case(SWARM_SPAWN, 400, "Too many", '{"count": 10001}'),
    Case(SWARM_SPAWN, 400, "An invalid facing", '{"count": 2, "facing": "north"}'),
    Case(SWARM_SPAWN, 400, "Cut off JSON", '{"count":'),
    Case(SWARM_SPAWN, 400, "An invalid key", '{"count": 2}', headers=NO_KEY),
    Case(SWARM_SPAWN, 422, "Used before", '{"count": 2}', headers=KEYED, before='{"count": 1}'),
    *_shared(SWARM_SPAWN, 406, 415, body='{"count": 2}'),
    Case(SWARM_COMMANDS, 200, body=ORDERS),
    Case(SWARM_COMMANDS, 200, body='{"commands": [1, {"id": "x", "command": "X"}]}'),
    Case(SWARM_COMMANDS, 400, "No commands", "{}"),
    Case(SWARM_COMMANDS, 400, "An empty list", '{"commands": []}'),
    Case(SWARM_COMMANDS, 400, "Too many to repeat", TOO_MANY, headers={"Idempotency-Key": KEY}),
    Case(SWARM_COMMANDS, 400, "Cut off JSON", '{"commands":'),
    Case(SWARM_COMMANDS, 400, "An invalid key", ORDERS, headers=NO_KEY),
    Case(SWARM_COMMANDS, 422, "Used before", '{"commands": [1]}', headers=KEYED, before=ORDERS),
    *_shared(SWARM_COMMANDS, 406, 415, body=ORDERS),
    Case("GET /regions", 200, "No regions"),
    Case("GET /regions", 200, headers=PAGE),
    Case("GET /regions", 406, "A picture", headers=PICTURE),
    Case("GET /", 200),
    Case("GET /", 200, headers=PAGE),
    Case("GET /", 406, "A picture", headers=PICTURE),
    Case("GET /schema", 200),
    Case("GET /schema", 200, headers={"Accept": "application/yaml"}),
    Case("GET /schema", 304, headers={"If-None-Match": "*"}),
    Case("GET /schema", 200, headers=NO_TAG),
    Case("GET /schema", 406, "A picture", headers=PICTURE),
    Case("GET /docs", 200),
    Case("GET /docs", 406, "A picture", headers=PICTURE),
    Case("GET /_health", 200, "Well"),
    Case("GET /healthz", 200, "Well"),
    Case("GET /metrics", 200),
    Case("GET /readyz", 200, "Well"),
    Case("GET /readyz", 503, "Not prepared", fault=NotBootstrapped(UNPREPARED)),
    Case(EVENTS, 200),
    Case(EVENTS, 406, "A picture", headers=PICTURE),
    *_shared(EVENTS),
    Case(EVENTS, 503, "Too many streams", fault=TooManyListeners()),
    Case(EVENTS, 429, "Too many streams of one caller", fault=TooManyForCaller()),
    Case(EVENTS, 503, "Shutting down", fault=FeedEnded()),
    Case("GET /sign-in", 200),
    Case("GET /sign-in", 200, is_closed=True),
    Case(SIGN_IN, 303, body="token=x", content_type=FORM, headers=FROM_HERE),
    Case(
        SIGN_IN, 303, body=f"token={READER}", content_type=FORM, headers=FROM_HERE, is_closed=True
    ),
    Case(SIGN_IN, 401, "An unknown token", "token=x", FORM, FROM_HERE, is_closed=True),
    Case(SIGN_IN, 401, "", "token=x", FORM, headers=PAGE | FROM_HERE, is_closed=True),
    Case(SIGN_IN, 400, "Not a form", "{}", headers=FROM_HERE),
    Case(SIGN_IN, 413, "Too long", "a" * 4097, FORM, headers=FROM_HERE),
    Case(SIGN_IN, 403, "Another site", content_type=FORM),
    Case(SIGN_OUT, 303, headers=FROM_HERE),
    Case(SIGN_OUT, 303, headers=FROM_HERE, is_closed=True),
    Case(SIGN_OUT, 403, "Another site"),
]
CASES += [
    case
    for operation in dict.fromkeys(each.operation for each in CASES)
    if operation.split()[1] not in ASKS_NOBODY
    for case in _refused(operation)
]
