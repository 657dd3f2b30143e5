"""The operations about the service itself: where to begin, its documents, its health."""

from __future__ import annotations

from overmind_project import __version__
from overmind_project.openapi.answers import content, plain, with_headers
from overmind_project.openapi.schemas import Json, ref, strict

_UNPREPARED = "the store is not prepared; run manage.py bootstrap_couch"
_TEXT: Json = {"type": "string"}
_PATH: Json = {"type": "string", "pattern": "^/"}


def _says(summary: str, schema: Json, value: Json) -> Json:
    return {"200": plain(summary, schema, {"Well": value})}


def _one_of(*words: str) -> Json:
    return {"type": "string", "enum": list(words)}


def _format(*forms: str) -> Json:
    return {
        "name": "format",
        "in": "query",
        "description": "The form of the answer in place of an `Accept` header.",
        "schema": _one_of(*forms, ""),
    }


def _not_acceptable(*media_types: str) -> Json:
    sentence = f"This URL answers with {' or '.join(media_types)}."
    return {
        "406": plain(
            "No form of the answer is one that `Accept` or `?format=` asks for.",
            ref("Error"),
            {"A picture": {"error": sentence}},
        )
    }


OPERATIONS: dict[tuple[str, str], Json] = {
    ("GET", "/"): {
        "operationId": "begin",
        "summary": "Begin here",
        "description": "The live map for a browser; for a program the paths to begin with.",
        "tags": ["operation"],
        "parameters": [_format("json", "html")],
        "responses": {
            "200": {
                "description": "The paths of the entry points, by what they lead to.",
                "content": {
                    "application/json": content(
                        {
                            "type": "object",
                            "properties": {"zerglings": _PATH, "health": _PATH},
                            "required": ["zerglings", "health"],
                            "additionalProperties": _PATH,
                        },
                        {"Some": {"zerglings": "/zerglings/", "health": "/_health"}},
                    ),
                    "text/html": {"schema": _TEXT},
                },
            }
            | with_headers("Vary"),
        }
        | _not_acceptable("application/json", "text/html"),
    },
    ("GET", "/schema/"): {
        "operationId": "showDocument",
        "summary": "Read this document",
        "description": "OpenAPI 3.1, as JSON unless YAML is asked for.",
        "tags": ["operation"],
        "parameters": [_format("json", "yaml"), ref("IfNoneMatch", "parameters")],
        "responses": {
            "200": {
                "description": "The document.",
                "content": {
                    "application/json": {
                        "schema": {"type": "object", "required": ["openapi", "info", "paths"]}
                    },
                    "application/yaml": {"schema": _TEXT},
                },
            }
            | with_headers("Vary"),
            "304": {"description": "It is still as `If-None-Match` has it."} | with_headers("Vary"),
        }
        | _not_acceptable("application/json", "application/yaml"),
    },
    ("GET", "/docs/"): {
        "operationId": "browseDocument",
        "summary": "Read this document in a browser, and try it out",
        "tags": ["operation"],
        "responses": {
            "200": {"description": "A page.", "content": {"text/html": {"schema": _TEXT}}},
        }
        | _not_acceptable("text/html"),
    },
    ("GET", "/_health"): {
        "operationId": "showHealth",
        "summary": "Ask whether the brain is well",
        "description": "Always 200: `brain` is `damaged` when the store does not answer.",
        "tags": ["operation"],
        "responses": _says(
            "The version and the state of the brain.",
            strict({"health": strict({"version": _TEXT, "brain": _one_of("ok", "damaged")})}),
            {"health": {"version": __version__, "brain": "ok"}},
        ),
    },
    ("GET", "/healthz"): {
        "operationId": "probeLiveness",
        "summary": "Ask whether the process can serve",
        "description": "For a liveness probe: the store is not asked.",
        "tags": ["operation"],
        "responses": _says("It can.", strict({"status": _one_of("ok")}), {"status": "ok"}),
    },
    ("GET", "/readyz"): {
        "operationId": "probeReadiness",
        "summary": "Ask whether the store answers and is prepared",
        "description": "For a startup probe, and for people.",
        "tags": ["operation"],
        "responses": _says("It is.", strict({"status": _one_of("ready")}), {"status": "ready"})
        | {
            "503": plain(
                "It is not; the sentence says why.",
                ref("Error"),
                {"Not prepared": {"error": f"Not ready: {_UNPREPARED}."}},
            )
            | with_headers("RetryAfter"),
        },
    },
    ("GET", "/metrics"): {
        "operationId": "showMetrics",
        "summary": "Read the metrics",
        "description": "Counters, gauges and histograms of all processes, as Prometheus reads them;"
        " as OpenMetrics to those who prefer that.",
        "tags": ["operation"],
        "responses": {
            "200": {
                "description": "The metrics.",
                "content": {
                    "text/plain": {"schema": _TEXT},
                    "application/openmetrics-text": {"schema": _TEXT},
                },
            }
            | with_headers("Vary"),
        },
    },
}
