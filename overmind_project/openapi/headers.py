"""The parameters that operations share, and the headers of their answers.

No optional parameter has an example: the page that tries requests out would send it each time.
"""

from __future__ import annotations

from django.conf import settings

from overmind_project.openapi.schemas import ID, REVISION, UUID_PATTERN, Json, ref
from zerglings.api.viewset import MAX_OFFSET
from zerglings.storage.base import PAGE_LIMIT

_ZERGLINGS = f"{settings.OVERMIND_PATH_PREFIX}/zerglings/"
_PATTERN = _ZERGLINGS.replace(".", r"\.")
_TAG = '(W/)?"[!#-~]*"'
_TAGS: Json = {
    "anyOf": [{"const": "*"}, {"type": "string", "pattern": f"^[ ,]*{_TAG} *(, *({_TAG} *)?)*$"}],
}

PARAMETERS: Json = {
    "Id": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "Which zergling: the id that its spawn was answered with.",
        "schema": ref("Id"),
    },
    "Format": {
        "name": "format",
        "in": "query",
        "description": (
            "The form of the answer in place of an `Accept` header: `api` is HTML, and nothing "
            "leaves the choice to the header."
        ),
        "schema": {"type": "string", "enum": ["json", "api", ""]},
    },
    "Limit": {
        "name": "limit",
        "in": "query",
        "description": (
            "How many to answer with at most. The next ones are at the `Link` of the answer. "
            "Without it all are answered, streamed."
        ),
        "schema": {"type": "integer", "minimum": 1, "maximum": PAGE_LIMIT},
    },
    "After": {
        "name": "after",
        "in": "query",
        "description": "Begin behind this id.",
        "schema": ref("Id"),
    },
    "Offset": {
        "name": "offset",
        "in": "query",
        "description": "Begin behind this many commands.",
        "schema": {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": (
            "Revisions in double quotes, as an `ETag` has them: unless the zergling is at one of "
            "them, nothing happens and the answer is 412. On a CouchDB cluster two nodes may both "
            "find it true."
        ),
        "schema": _TAGS,
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": (
            "The `ETag` of an earlier answer, or several: if one still holds, the answer is 304. "
            "What is no list of them is ignored."
        ),
        "schema": {"type": "string"},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": (
            "Makes the request safe to repeat: the same key with the same body has no second "
            "effect. With another body it is refused with 422. Visible ASCII characters."
        ),
        "schema": {"type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": 128},
    },
}

HEADERS: Json = {
    "ETag": {
        "description": "The revision in double quotes; the HTML form has one of its own.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[1-9][0-9]*-[0-9a-f]+(-html)?"$'},
        "example": f'"{REVISION}"',
    },
    "Location": {
        "description": "The path of the new zergling.",
        "required": True,
        "schema": {"type": "string", "pattern": f"^{_PATTERN}{UUID_PATTERN[1:]}"},
        "example": f"{_ZERGLINGS}{ID}",
    },
    "Link": {
        "description": "Where the next page is, if there is one; absent on the last.",
        "schema": {"type": "string", "pattern": f'^<{_PATTERN}.*>; rel="next"$'},
        "example": f'<{_ZERGLINGS}?limit=100&after={ID}>; rel="next"',
    },
    "WWWAuthenticate": {
        "description": "What kind of credentials is asked for (RFC 6750).",
        "required": True,
        "schema": {"type": "string", "pattern": '^Bearer realm="overmind"'},
        "example": 'Bearer realm="overmind", error="invalid_token"',
    },
    "Onward": {
        "description": "The page that is next.",
        "required": True,
        "schema": {"type": "string", "pattern": "^/"},
        "example": "/",
    },
    "RetryAfter": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "Vary": {
        "description": "The answer's form depends on what is accepted.",
        "required": True,
        "schema": {"type": "string", "pattern": "[Aa]ccept"},
        "example": "Accept",
    },
    "Allow": {
        "description": "The methods that this URL knows.",
        "required": True,
        "schema": {"type": "string"},
        "example": "GET, POST, HEAD, OPTIONS",
    },
}
