"""How a caller shows a token, and what one without a good one is answered, at every operation."""

from __future__ import annotations

from overmind_project.auth import denials
from overmind_project.auth.credentials import COOKIE, SECURE_COOKIE
from overmind_project.openapi.answers import PAGE, error, plain
from overmind_project.openapi.schemas import Json, ref

Operations = dict[tuple[str, str], Json]

_ANONYMOUS = denials.ANONYMOUS.sentence
_NOT_KNOWN = denials.NOT_KNOWN.sentence
_READ_ONLY = denials.READ_ONLY.sentence
_FOREIGN = denials.FOREIGN.sentence

OPEN = {"/_health", "/healthz", "/readyz", "/sign-in", "/sign-out"}
"""Paths that ask for no token."""

SCHEMES: Json = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": (
            "A token, where the service is configured to ask for one. With the scope `read` it is "
            "good for GET, HEAD and OPTIONS, with `write` for everything."
        ),
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": (
            "The same token in the cookie of a browser that has signed in; over TLS its name is "
            f"`{SECURE_COOKIE}`. What changes anything must then come from a page of this "
            "service."
        ),
    },
}

_SHOWN: list[Json] = [{"bearer": []}, {"cookie": []}]
_NOTHING: Json = {}

RESPONSES: Json = {
    "Unauthorised": error(
        "A token is asked for, and none that is known came.",
        {"No token": _ANONYMOUS, "Another token": _NOT_KNOWN},
        "WWWAuthenticate",
    ),
    "Forbidden": error(
        "The token may only read, or another site has sent this. Nothing was changed.",
        {"Only a reader": _READ_ONLY, "From elsewhere": _FOREIGN},
    ),
}

_GONE_ON: Json = {
    "description": "Done: go on.",
    "headers": {"Location": ref("Onward", "headers")},
}
_FROM_ELSEWHERE = plain(
    "Another site has sent this.", ref("Error"), {"From elsewhere": {"error": _FOREIGN}}
)
_NO_FORM = "Send a form: application/x-www-form-urlencoded."
_LONG_FORM = "The form is longer than 4096 bytes."
_TOKEN: Json = {"type": "string", "description": "As it was given to the person."}
_ONWARD: Json = {
    "type": "string",
    "description": "Where to go on, a path of this service; any other is ignored.",
}

OPERATIONS: Operations = {
    ("GET", "/sign-in"): {
        "operationId": "askForToken",
        "summary": "See who is signed in, and sign in",
        "tags": ["operation"],
        "parameters": [{"name": "next", "in": "query", "schema": _ONWARD}],
        "responses": {"200": {"description": "A page with a form."} | PAGE},
    },
    ("POST", "/sign-in"): {
        "operationId": "signIn",
        "summary": "Have this browser keep a token until it is closed",
        "tags": ["operation"],
        "requestBody": {
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "properties": {"token": _TOKEN, "next": _ONWARD},
                        "required": ["token"],
                    },
                    "examples": {
                        "ToTheMap": {
                            "summary": "To the map",
                            "value": {"token": "let-me-write", "next": "/"},
                        }
                    },
                }
            },
        },
        "responses": {
            "303": _GONE_ON,
            "401": error(
                "This is no token that is known.", {"Another token": _NOT_KNOWN}, "WWWAuthenticate"
            ),
            "403": _FROM_ELSEWHERE,
            "400": plain("This is no form.", ref("Error"), {"Not a form": {"error": _NO_FORM}}),
            "413": plain(
                "The form is too long.", ref("Error"), {"Too long": {"error": _LONG_FORM}}
            ),
        },
    },
    ("POST", "/sign-out"): {
        "operationId": "signOut",
        "summary": "Have this browser forget its token",
        "tags": ["operation"],
        "responses": {"303": _GONE_ON, "403": _FROM_ELSEWHERE},
    },
}


def security(*, is_closed: bool) -> list[Json]:
    """Return what a caller has to show, any of these: nothing where no tokens are configured."""
    return _SHOWN if is_closed else [*_SHOWN, _NOTHING]


def guarded(operations: Operations) -> Operations:
    """Return operations with what those are answered that are not let in."""
    return {key: _guarded(*key, operation) for key, operation in operations.items()}


def _guarded(method: str, path: str, operation: Json) -> Json:
    if path in OPEN:
        return operation | {"security": []}
    refused = {"401": ref("Unauthorised", "responses")}
    if method != "GET":
        refused["403"] = ref("Forbidden", "responses")
    return operation | {"responses": operation["responses"] | refused}
