"""The operations on many zerglings: whole swarms at once, and what happens as it happens."""

from __future__ import annotations

from overmind_project.middleware.body import SWARM_LIMIT
from overmind_project.middleware.rate_limit import SENTENCE as TOO_MANY_REQUESTS
from overmind_project.openapi.answers import (
    BAD_JSON,
    BAD_KEY,
    UNAVAILABLE,
    content,
    error,
    errors,
    negotiated,
    plain,
    with_headers,
)
from overmind_project.openapi.schemas import ID, NEWBORN, REVISION, Json, ref, strict
from overmind_project.openapi.schemas import SCHEMAS as SHARED
from zerglings.api.exceptions import NO_SUCH_ZERGLING
from zerglings.feed.views import TOO_MANY_FOR_CALLER
from zerglings.hive.bulk import LIMIT
from zerglings.repository.archive import WORDS_REMEMBERED

_FIRST_EVENTS = {
    "A spawn": (
        "event: ready\nid: 42\ndata: {}\n\n"
        f'event: spawned\nid: 43\ndata: {{"zergling":{{"id":"{ID}","location":{{"x":3,"y":-4}},'
        f'"facing":"E","commandCount":0,"_rev":"{REVISION}"}}}}\n\n'
    )
}
_ONLY_STREAM = error(
    "The answer is a stream of events, which `Accept` does not ask for.",
    {"A picture": "This URL answers with text/event-stream or application/json."},
    "Vary",
)
_ANYTHING = "Anything else is refused for itself; its result says why."
_TOO_LARGE = error(
    "The body is too long. Nothing was changed.",
    {"Too long": f"The body is longer than {SWARM_LIMIT} bytes."},
)
_BAD_SPAWN = {
    "No count": "count: This field is required.",
    "Too many": f"count: must be an integer from 1 to {LIMIT}.",
    "A facing that is none": 'facing: "north" is not a valid choice.',
}
_BAD_COMMANDS = {
    "No commands": "commands: This field is required.",
    "None at all": "commands: Ensure this field has at least 1 elements.",
    "Too many to repeat": (
        f"under an Idempotency-Key at most {WORDS_REMEMBERED} commands for one zergling."
    ),
}
_STATE: Json = NEWBORN | {"commandCount": 4, "_rev": REVISION}


def _result(status: int, zergling: str) -> Json:
    good = strict({"status": {"type": "integer", "const": status}, "zergling": ref(zergling)})
    bad = strict(
        {
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "error": {"type": "string"},
        }
    )
    return {"anyOf": [good, bad]}


def _results(status: int, zergling: str) -> Json:
    return strict({"results": {"type": "array", "items": _result(status, zergling), "minItems": 1}})


_SPAWN_FORM: Json = SHARED["SpawnForm"]
_COUNT: Json = {"type": "integer", "minimum": 1, "maximum": LIMIT}
SCHEMAS: Json = {
    "SwarmSpawnForm": _SPAWN_FORM
    | {"properties": {"count": _COUNT, **_SPAWN_FORM["properties"]}, "required": ["count"]},
    "SwarmSpawn": strict(
        {
            "count": _COUNT,
            "location": ref("Location"),
            "facing": ref("Facing"),
        },
        "location",
        "facing",
    ),
    "SwarmCommand": strict({"id": {"type": "string"}, "command": ref("Commands")}),
    "SwarmCommands": strict(
        {
            "commands": {
                "type": "array",
                "items": {"anyOf": [ref("SwarmCommand"), {"description": _ANYTHING}]},
                "minItems": 1,
                "maxItems": LIMIT,
            }
        }
    ),
    "SwarmSpawned": _results(201, "Seen"),
    "SwarmCommanded": _results(200, "State"),
}

OPERATIONS: dict[tuple[str, str], Json] = {
    ("POST", "/swarm/spawn"): {
        "operationId": "spawnSwarm",
        "summary": "Spawn many zerglings",
        "description": (
            "All at one place. The answer has a result for each and is streamed. A JSON body is "
            "understood under any content type."
        ),
        "tags": ["swarm"],
        "parameters": [ref("IdempotencyKey", "parameters")],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": content(
                    ref("SwarmSpawn"),
                    {"Two at a place": {"count": 2, "location": {"x": 3, "y": -4}, "facing": "E"}},
                ),
                "multipart/form-data": content(
                    ref("SwarmSpawnForm"),
                    {
                        "Two at a place": {
                            "count": 2,
                            "location.x": 3,
                            "location.y": -4,
                            "facing": "E",
                        }
                    },
                ),
            },
        },
        "responses": {
            "200": negotiated(
                "What became of each.",
                ref("SwarmSpawned"),
                {"One": {"results": [{"status": 201, "zergling": NEWBORN}]}},
            )
        }
        | errors(406, 415, 422, bad=_BAD_SPAWN | BAD_JSON | BAD_KEY)
        | {"413": _TOO_LARGE},
    },
    ("POST", "/swarm/commands"): {
        "operationId": "commandSwarm",
        "summary": "Command many zerglings",
        "description": (
            "The answer has a result for each item, in their order, and is streamed. Each item is "
            "carried out or refused for itself. A JSON body is understood under any content type."
        ),
        "tags": ["swarm"],
        "parameters": [ref("IdempotencyKey", "parameters")],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": content(
                    ref("SwarmCommands"),
                    {"One": {"commands": [{"id": ID, "command": "MMRM"}]}},
                )
            },
        },
        "responses": {
            "200": negotiated(
                "What became of each.",
                ref("SwarmCommanded"),
                {
                    "One of two": {
                        "results": [
                            {"status": 200, "zergling": _STATE},
                            {"status": 404, "error": NO_SUCH_ZERGLING},
                        ]
                    }
                },
            )
        }
        | errors(406, 415, 422, bad=_BAD_COMMANDS | BAD_JSON | BAD_KEY)
        | {"413": _TOO_LARGE},
    },
    ("GET", "/events"): {
        "operationId": "watch",
        "summary": "Watch what happens as it happens",
        "description": (
            "Server-sent events: first `ready`, then `spawned`, `moved` and `died`, each with the "
            "zergling as `data`, and `heartbeat` after some silence. `reset` means that the list "
            "must be read anew. For the whole picture: watch, wait for `ready`, then list, and let "
            "events win over the list."
        ),
        "tags": ["feed"],
        "parameters": [
            {
                "name": "since",
                "in": "query",
                "description": "Resume behind this `id` of an earlier event.",
                "schema": {"type": "string"},
            },
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "The same, as browsers send it.",
                "schema": {"type": "string"},
            },
        ],
        "responses": {
            "200": {
                "description": "The stream, which does not end.",
                "content": {"text/event-stream": content({"type": "string"}, _FIRST_EVENTS)},
            }
            | with_headers("Vary"),
            "406": _ONLY_STREAM,
            "429": plain(
                "Too many requests from this caller or address, or too many streams of this "
                "caller.",
                ref("Error"),
                {
                    "Too many": {"error": TOO_MANY_REQUESTS},
                    "Too many of one": {"error": TOO_MANY_FOR_CALLER},
                },
            )
            | with_headers("RetryAfter"),
            "503": error(
                "The store does not answer in time, too many listen, or the service ends.",
                UNAVAILABLE
                | {
                    "Too many listen": "Too many event streams are open; try again later.",
                    "About to stop": "The service is about to stop; try again.",
                },
                "RetryAfter",
                "Vary",
            ),
        },
    },
}
