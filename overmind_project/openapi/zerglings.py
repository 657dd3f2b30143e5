"""The operations on zerglings, as ``zerglings.api.viewset`` answers them."""

from __future__ import annotations

from overmind_project.openapi import answers
from overmind_project.openapi.answers import PAGE, content, errors, negotiated, with_headers
from overmind_project.openapi.schemas import MOVED, NEWBORN, Json, ref

_BODIES_OF_SPAWN: Json = {
    "application/json": content(
        ref("Spawn"),
        {
            "At a place, facing east": {"location": {"x": 3, "y": -4}, "facing": "E"},
            "At the origin, facing west": {"facing": "W"},
            "At the origin, facing north": {},
        },
    ),
    "multipart/form-data": content(
        ref("SpawnForm"),
        {"At a place, facing east": {"location.x": 3, "location.y": -4, "facing": "E"}},
    ),
    "application/x-www-form-urlencoded": content(
        {"description": "Ignored, unless it begins like a JSON object: curl sends JSON so."},
        {"Ignored": {"M": ""}},
    ),
    "text/plain": content(
        {"type": "string", "description": "Ignored, unless it begins like a JSON object."},
        {"Ignored": "M"},
    ),
    "application/octet-stream": content(
        {"type": "string", "description": "Ignored, unless it begins like a JSON object."},
        {"Ignored": "M"},
    ),
}
_BODIES_OF_COMMAND: Json = {
    "application/json": content(
        {"anyOf": [ref("Commands"), ref("Command")]},
        {
            "A step": "M",
            "Several, all or none": "MMRM",
            "A list": ["M", "M", "R", "M"],
            "An object": {"command": "MMRM"},
        },
    ),
    "application/x-www-form-urlencoded": content(
        ref("CommandForm"), {"Several, all or none": {"command": "MMRM"}}
    ),
    "multipart/form-data": content(
        ref("CommandForm"), {"Several, all or none": {"command": "MMRM"}}
    ),
    "text/plain": content(ref("Word"), {"A step": "M", "Several, all or none": "MMRM"}),
    "application/octet-stream": content(ref("Word"), {"A step": "M"}),
}


def _parameters(*names: str) -> list[Json]:
    return [ref(name, "parameters") for name in names]


OPERATIONS: dict[tuple[str, str], Json] = {
    ("GET", "/zerglings/"): {
        "operationId": "listZerglings",
        "summary": "List the zerglings",
        "description": (
            "All living zerglings in the order of their ids, streamed. If the connection breaks "
            "off, what came is no valid JSON, so a list is never taken for complete when it is not."
        ),
        "tags": ["zerglings"],
        "parameters": _parameters("Limit", "After", "Format"),
        "responses": {
            "200": negotiated(
                "The zerglings.",
                ref("ZerglingList"),
                {"Some": {"zerglings": [NEWBORN]}, "None yet": {}},
                "Link",
            )
        }
        | errors(406, bad=answers.BAD_LIMIT | answers.BAD_AFTER),
    },
    ("POST", "/zerglings/"): {
        "operationId": "spawnZergling",
        "summary": "Spawn a zergling",
        "description": (
            "At the origin, facing north, unless the body says otherwise. What does not begin like "
            "a JSON object is ignored, unless its type says that it is JSON or a multipart form."
        ),
        "tags": ["zerglings"],
        "parameters": _parameters("IdempotencyKey", "Format"),
        "requestBody": {"required": False, "content": _BODIES_OF_SPAWN},
        "responses": {
            "201": negotiated(
                "The new zergling, or the one that this key has spawned before.",
                ref("SpawnedAnswer"),
                {"Born": {"zergling": NEWBORN}},
                "Location",
            ),
        }
        | errors(
            404,
            406,
            409,
            413,
            415,
            422,
            bad=answers.BAD_SPAWN | answers.BAD_JSON | answers.BAD_KEY,
            writes=True,
        ),
    },
    ("GET", "/zerglings/{id}"): {
        "operationId": "showZergling",
        "summary": "Show a zergling",
        "description": "Where it stands, its newest commands and its revision.",
        "tags": ["zerglings"],
        "parameters": _parameters("Id", "IfNoneMatch", "Format"),
        "responses": {
            "200": negotiated(
                "The zergling.",
                ref("ZerglingAnswer"),
                {
                    "Moved": {"zergling": MOVED},
                    "Not yet moved": {"zergling": NEWBORN | {"_rev": "1-9f2c0b7a6e4f3a9b"}},
                },
                "ETag",
            ),
            "304": {"description": "It is still as `If-None-Match` has it."}
            | with_headers("ETag", "Vary"),
        }
        | errors(404, 406),
    },
    ("POST", "/zerglings/{id}"): {
        "operationId": "commandZergling",
        "summary": "Command a zergling",
        "description": (
            "`L` turns it left, `R` right, `M` moves it one step ahead. Up to 1000 commands are "
            "applied together or not at all. A JSON body is understood under any content type."
        ),
        "tags": ["zerglings"],
        "parameters": _parameters("Id", "IfMatch", "IdempotencyKey", "Format"),
        "requestBody": {"required": True, "content": _BODIES_OF_COMMAND},
        "responses": {
            "200": negotiated(
                "The zergling after it.",
                ref("ZerglingAnswer"),
                {"Moved": {"zergling": MOVED}},
                "ETag",
            ),
        }
        | errors(
            404,
            406,
            409,
            412,
            413,
            415,
            422,
            bad=answers.BAD_COMMAND | answers.BAD_JSON | answers.BAD_KEY | answers.BAD_IF_MATCH,
            writes=True,
        ),
    },
    ("DELETE", "/zerglings/{id}"): {
        "operationId": "killZergling",
        "summary": "End a zergling's life",
        "description": "For ever: nothing brings it back, and its id is never given again.",
        "tags": ["zerglings"],
        "parameters": _parameters("Id", "IfMatch", "Format"),
        "responses": {
            "200": {"description": "It is dead, says a page."} | PAGE | with_headers("Vary"),
            "204": {"description": "It is dead."} | with_headers("Vary"),
        }
        | errors(404, 406, 409, 412, bad=answers.BAD_IF_MATCH, writes=True),
    },
    ("GET", "/zerglings/{id}/history"): {
        "operationId": "showHistory",
        "summary": "Show a zergling's history",
        "description": "All its commands, oldest first, streamed.",
        "tags": ["zerglings"],
        "parameters": _parameters("Id", "Offset", "Limit", "Format"),
        "responses": {
            "200": negotiated(
                "The commands.",
                ref("History"),
                {
                    "Some": {"commandHistory": MOVED["commandHistory"]},
                    "None yet": {"commandHistory": []},
                },
                "Link",
            ),
        }
        | errors(404, 406, bad=answers.BAD_LIMIT | answers.BAD_OFFSET),
    },
}
