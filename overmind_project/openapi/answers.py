"""The answers that operations share: how a good one is described, and every error by its name.

The sentences of the examples are those that the service says; a test holds them against it.
"""

from __future__ import annotations

from collections.abc import Mapping

from overmind_project.middleware.rate_limit import SENTENCE as TOO_MANY_REQUESTS
from overmind_project.openapi.schemas import Json, ref
from zerglings.api.exceptions import NO_SUCH_ZERGLING
from zerglings.domain.zergling import COORDINATE_LIMIT

_HTML = {"text/html": {"schema": {"type": "string"}}}
PAGE: Json = {"content": _HTML}
"""A body for a browser alone."""


def examples(values: Mapping[str, object]) -> Json:
    """Return examples by what they show."""
    return {
        "".join(word.capitalize() for word in summary.split()): {"summary": summary, "value": value}
        for summary, value in values.items()
    }


def content(schema: Json, values: Mapping[str, object]) -> Json:
    """Return a body of one media type."""
    return {"schema": schema} | ({"examples": examples(values)} if values else {})


def plain(description: str, schema: Json, values: Mapping[str, object]) -> Json:
    """Return an answer that is JSON whatever the client accepts."""
    return {
        "description": description,
        "content": {"application/json": content(schema, values)},
    }


def negotiated(description: str, schema: Json, values: Mapping[str, object], *headers: str) -> Json:
    """Return an answer that is a page for a browser and JSON for everybody else."""
    answer = plain(description, schema, values)
    answer["content"] |= _HTML
    return answer | with_headers("Vary", *headers)


def with_headers(*names: str) -> Json:
    """Return the headers of an answer."""
    named = {"RetryAfter": "Retry-After", "WWWAuthenticate": "WWW-Authenticate"}
    return {"headers": {named.get(name, name): ref(name, "headers") for name in names}}


def error(description: str, sentences: Mapping[str, str], *headers: str) -> Json:
    """Return an error: a sentence as JSON, on a page for a browser."""
    answer = plain(description, ref("Error"), {k: {"error": v} for k, v in sentences.items()})
    answer["content"] |= _HTML
    return answer | (with_headers(*headers) if headers else {})


WRONG = "Something in the request is wrong. Nothing was changed."

BAD_KEY = {"A key that is none": "Idempotency-Key must be 1 to 128 visible ASCII characters."}
BAD_IF_MATCH = {
    "A condition that is none": (
        'If-Match must hold revisions in double quotes, as in If-Match: "2-5f0a".'
    )
}
BAD_JSON = {"Cut off JSON": "The body is not valid JSON: unexpected end of data."}
BAD_LIMIT = {"A page too large": "limit must be one whole number from 1 to 1000."}
BAD_AFTER = {"After nobody": "after must be the id of a zergling."}
BAD_OFFSET = {"A negative offset": "offset must be one whole number from 0 to 999999999999999."}
BAD_SPAWN = {
    "A place that is none": (
        f"location.x: must be an integer from -{COORDINATE_LIMIT} to {COORDINATE_LIMIT}."
    ),
    "Half a place": "location.y: This field is required.",
    "A facing that is none": 'facing: "north" is not a valid choice.',
    "An unknown field": "'colour' is not known here; known are location, facing.",
}
BAD_COMMAND = {
    "No such command": "'X' is not a command: send L, R or M.",
    "No command": "The body is empty: send L, R or M.",
    "Too many at once": "1001 commands are too many: send at most 1000 at once.",
    "Neither word nor list": "The command must be a string or a list of strings of L, R and M.",
    "An unknown field": "'order' is not a field of a command: send 'command' alone.",
    "Over the edge": (
        f"The grid ends at ±{COORDINATE_LIMIT}: from x={COORDINATE_LIMIT}, y=0 "
        "these commands step over its edge."
    ),
}

UNAVAILABLE = {
    "No answer": "The store does not answer; nothing was changed, so try again.",
    "Not prepared": "The store is not prepared yet; nothing was changed, so try again.",
    "Refused": "The store refuses the service's account; nothing was changed, so try again.",
}
_IN_DOUBT = {
    "Outcome unknown": (
        "The store's answer was lost, so it is unknown whether this was carried out: "
        "GET before you repeat it, or repeat it with the Idempotency-Key that you sent."
    ),
    "Write failed": (
        "The store failed to write, and it is unknown whether this was carried out: "
        "GET before you repeat it, or repeat it with the Idempotency-Key that you sent."
    ),
}

RESPONSES: Json = {
    "NoSuchZergling": error(
        "No living zergling has this id, or it is no id at all.",
        {"Nobody": NO_SUCH_ZERGLING},
        "Vary",
    ),
    "MethodNotAllowed": error(
        "The URL does not know this method; `Allow` says which it knows.",
        {"A put": 'Method "PUT" not allowed.'},
        "Allow",
    ),
    "NotAcceptable": error(
        "No form of the answer is one that `Accept` or `?format=` asks for.",
        {"A picture": "This URL answers with application/json or text/html."},
        "Vary",
    ),
    "TooMuchContention": error(
        "Others kept changing the zergling for seconds. Nothing was changed.",
        {"Crowded": ("Too many others command this zergling; nothing was changed, so try again.")},
        "Vary",
    ),
    "PreconditionFailed": error(
        "`If-Match` names another revision, or this one in a form that never matches. Nothing was "
        "changed.",
        {
            "Overtaken": "The zergling is at another revision: GET it, then decide again.",
            "Altered": (
                "If-Match names this revision in a form that never matches, as with W/, -gzip or "
                "-html: send _rev itself, in double quotes."
            ),
        },
        "Vary",
    ),
    "TooLarge": error(
        "The body is too long, or what would have to be stored. Nothing was changed.",
        {
            "Too long": "The body is longer than 65536 bytes.",
            "Too large to store": (
                "This zergling's document would exceed the store's size limit; nothing was "
                "changed. Delete the zergling, or have the store's operator raise the limit."
            ),
        },
    ),
    "UnsupportedMediaType": error(
        "The body is neither JSON nor a form nor plain text, or it is compressed.",
        {
            "A picture": "Send the body as JSON, as a form or as plain text.",
            "Compressed": "Send the body as it is, not compressed.",
        },
    ),
    "KeyReused": error(
        "The key was used before with another body. Nothing was changed.",
        {
            "Used before": (
                "This Idempotency-Key was used before with another body: choose a new key."
            )
        },
        "Vary",
    ),
    "TooManyRequests": plain(
        "More requests than the service lets through from this caller or address, where it is "
        "configured to. Nothing was changed.",
        ref("Error"),
        {"Too many": {"error": TOO_MANY_REQUESTS}},
    )
    | with_headers("RetryAfter"),
    "Unavailable": error("The store does not answer in time.", UNAVAILABLE, "RetryAfter", "Vary"),
    "UnavailableOrInDoubt": error(
        "The store does not answer in time: nothing was changed, or it is unknown whether it was.",
        UNAVAILABLE | _IN_DOUBT,
        "RetryAfter",
        "Vary",
    ),
}

_BY_STATUS = {
    404: "NoSuchZergling",
    406: "NotAcceptable",
    409: "TooMuchContention",
    412: "PreconditionFailed",
    413: "TooLarge",
    415: "UnsupportedMediaType",
    422: "KeyReused",
}


def errors(*statuses: int, bad: Mapping[str, str] | None = None, writes: bool = False) -> Json:
    """Return the errors of an operation: 400 with any sentences, 503, and the shared ones."""
    shared = {str(status): ref(_BY_STATUS[status], "responses") for status in statuses}
    away = ref("UnavailableOrInDoubt" if writes else "Unavailable", "responses")
    wrong = {"400": error(WRONG, bad)} if bad else {}
    return wrong | shared | {"503": away}
