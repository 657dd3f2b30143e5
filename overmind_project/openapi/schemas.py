"""The shapes that requests and answers share, as JSON Schema; each has a name in the document."""

from __future__ import annotations

from typing import Any

from zerglings.domain.zergling import COMMANDS, COMMANDS_PER_REQUEST, COORDINATE_LIMIT, FACINGS

Json = dict[str, Any]

ID = "5fb0c9f4-8a3c-4a5e-9d5e-3f6f0e8d7c21"
"""The zergling of the examples."""

REVISION = "4-0d5f9c0b7a6e4f3a9b1c2d3e4f5a6b7c"

UUID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

NEWBORN: Json = {"id": ID, "location": {"x": 3, "y": -4}, "facing": "E"}
MOVED: Json = {
    "id": ID,
    "location": {"x": 5, "y": -5},
    "facing": "S",
    "commandHistory": ["M", "M", "R", "M"],
    "_rev": REVISION,
}


def ref(name: str, kind: str = "schemas") -> Json:
    """Return a reference to a named part of the document."""
    return {"$ref": f"#/components/{kind}/{name}"}


def strict(properties: Json, *optional: str, **more: object) -> Json:
    """Return the schema of an object with these properties, all but ``optional``, and no others."""
    required = [name for name in properties if name not in optional]
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {}) | more


def _whole(description: str) -> Json:
    return {"type": "integer", "description": description}


def _within_grid(description: str) -> Json:
    return _whole(description) | {"minimum": -COORDINATE_LIMIT, "maximum": COORDINATE_LIMIT}


_EAST, _NORTH = "Grid steps to the east.", "Grid steps to the north."

_SEEN: Json = {"id": ref("Id"), "location": ref("Position"), "facing": ref("Facing")}
_REVISION: Json = {
    "type": "string",
    "description": "The revision: it changes with every command, and is what `If-Match` compares.",
    "pattern": "^[1-9][0-9]*-[0-9a-f]+$",
    "examples": [REVISION],
}
_COMMAND_COUNT: Json = {"type": "integer", "minimum": 0}
_HISTORY: Json = {
    "type": "array",
    "items": {"type": "string"},
    "description": (
        "Commands, oldest first. The service itself accepts only L, R and M; what else the "
        "original service recorded is shown as it is and had no effect."
    ),
}

SCHEMAS: Json = {
    "Id": {
        "type": "string",
        "description": "A lower-case uuid.",
        "pattern": UUID_PATTERN,
        "examples": [ID],
    },
    "Facing": {
        "type": "string",
        "enum": list(FACINGS),
        "description": "Where it looks: north is +y, east is +x.",
    },
    "Location": strict(
        {"x": _within_grid(_EAST), "y": _within_grid(_NORTH)},
        description="A place on the grid, as a request may give it.",
    ),
    "Position": strict(
        {"x": _whole(_EAST), "y": _whole(_NORTH)},
        description=(
            f"Where a zergling stands: within ±{COORDINATE_LIMIT}, or a little beyond, where "
            "commands that a cluster accepted on two nodes were merged at the edge of the grid."
        ),
    ),
    "Spawn": strict(
        {"location": ref("Location"), "facing": ref("Facing")},
        "location",
        "facing",
        description="Where a new zergling stands and looks: at the origin, north, unless given.",
    ),
    "SpawnForm": {
        "type": "object",
        "properties": {
            "location.x": _within_grid(_EAST),
            "location.y": _within_grid(_NORTH),
            "facing": ref("Facing"),
        },
        "dependentRequired": {"location.x": ["location.y"], "location.y": ["location.x"]},
        "additionalProperties": False,
        "description": "The same as fields of a form; a field that is empty counts as not given.",
    },
    "Word": {
        "type": "string",
        "pattern": f"^[{''.join(COMMANDS)}]{{1,{COMMANDS_PER_REQUEST}}}$",
        "description": "One command, or several that are applied together or not at all.",
        "examples": ["MMRM"],
    },
    "Commands": {
        "description": "`L` turns left, `R` turns right, `M` moves one step ahead.",
        "anyOf": [
            ref("Word"),
            {
                "type": "array",
                "items": {"type": "string", "enum": list(COMMANDS)},
                "minItems": 1,
                "maxItems": COMMANDS_PER_REQUEST,
            },
        ],
    },
    "Command": strict({"command": ref("Commands")}),
    "CommandForm": strict({"command": ref("Word")}),
    "Seen": strict(_SEEN, description="A zergling as lists and births show it."),
    "Zergling": strict(
        _SEEN
        | {
            "commandHistory": _HISTORY | {"minItems": 1},
            "commandCount": _COMMAND_COUNT
            | {
                "minimum": 1,
                "description": "How many commands there were, if more than are shown here.",
            },
            "_rev": _REVISION,
        },
        "commandHistory",
        "commandCount",
        description=(
            "A zergling with its newest commands, at least 100 if there were so many; "
            "`commandHistory` is absent while there are none."
        ),
    ),
    "State": strict(
        _SEEN | {"commandCount": _COMMAND_COUNT, "_rev": _REVISION},
        description="A zergling and how many commands brought it there.",
    ),
    "ZerglingList": strict(
        {"zerglings": {"type": "array", "items": ref("Seen"), "minItems": 1}},
        "zerglings",
        description="Zerglings in the order of their ids; an empty object when there are none.",
    ),
    "SpawnedAnswer": strict({"zergling": ref("Seen")}),
    "ZerglingAnswer": strict({"zergling": ref("Zergling")}),
    "History": strict({"commandHistory": _HISTORY}),
    "Error": strict(
        {"error": {"type": "string", "description": "A sentence that a person can act on."}},
    ),
}
