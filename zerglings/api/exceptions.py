"""Maps errors to HTTP responses: a status and the body ``{"error": "<sentence>"}``.

The only place that does this for requests that reach Django.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions as drf
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response

from zerglings.api.renderers import json_response
from zerglings.domain import zergling
from zerglings.hive import mutations, pending
from zerglings.repository import chunk_store, moving, reading, retry_budget
from zerglings.storage import base as storage

logger = logging.getLogger(__name__)

RETRY_AFTER = "1"
"""Seconds: the value of the ``Retry-After`` header of every 503."""

_LIST = f"{settings.OVERMIND_PATH_PREFIX}/zerglings/"
NO_SUCH_ZERGLING = f"There is no zergling with this id: GET {_LIST} lists those that live."

_ANSWERS: dict[type[Exception], tuple[int, str]] = {
    mutations.NoSuchZergling: (404, NO_SUCH_ZERGLING),
    mutations.TagAltered: (
        412,
        "If-Match names this revision in a form that never matches, as with W/, -gzip or -html: "
        "send _rev itself, in double quotes.",
    ),
    mutations.PreconditionFailed: (
        412,
        "The zergling is at another revision: GET it, then decide again.",
    ),
    retry_budget.TooMuchContention: (
        409,
        "Too many other clients command this zergling; nothing was changed, so try again.",
    ),
    mutations.KeyReused: (
        422,
        "This Idempotency-Key was used before with another body: choose a new key.",
    ),
    Http404: (404, "There is nothing at this URL."),
    SuspiciousOperation: (400, "The request has too many parameters, or is malformed."),
}
_UNAVAILABLE_REASONS: dict[type[storage.StoreError], str] = {
    storage.StoreError: "The store does not answer",
    storage.AccountRefused: "The store refuses the service's account",
    storage.NotBootstrapped: "The store is not prepared yet",
    storage.CopiesBehind: "A node of the store does not have all documents yet",
    chunk_store.Incomplete: "The beginning of this zergling's history has not arrived here yet",
    chunk_store.MissingChunk: "A part of this history is missing here or has not arrived yet",
    chunk_store.DamagedChunk: "A part of this history is damaged",
    reading.MissingMerge: "The zergling was merged in another region and has not arrived yet",
    moving.StillMoving: "The zergling's long history is being moved to the history database",
}
"""By class. An error of another class has the reason of its nearest base class."""

_TOO_LARGE = (
    "This zergling's document would exceed the store's size limit; nothing was changed. Delete the "
    "zergling, or have the store's operator raise the limit."
)
_STATUS_SENTENCES = {415: "Send the body as JSON, as a form or as plain text."}


def error_response(
    status: int, sentence: str, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return a JSON error response without content negotiation. A 503 gets ``Retry-After``."""
    response = json_response({"error": sentence}, status)
    for name, value in (headers or {}).items():
        response[name] = value
    if status == 503:
        response["Retry-After"] = RETRY_AFTER
    return response


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return the response to an error that a view raised: DRF's exception handler.

    Returns:
        None for unexpected errors: Django then logs them and answers 500.
    """
    if isinstance(error, drf.NotAcceptable):
        return Response(
            {"error": _acceptable_types(context["view"].renderer_classes)}, error.status_code
        )
    if isinstance(error, drf.APIException):
        return _framework_response(error)
    known = known_error(error)
    if known is None:
        return None
    if isinstance(error, storage.StoreError):
        details = [str(error), *getattr(error, "__notes__", ())]
        logger.error("%s: %s", type(error).__name__, "; ".join(details))
    status, sentence = known
    headers = {"Retry-After": RETRY_AFTER} if status == 503 else None
    return Response({"error": sentence}, status=status, headers=headers)


def known_error(error: Exception) -> tuple[int, str] | None:
    """Return the HTTP status and the sentence of an expected error, None for any other."""
    if isinstance(error, storage.TooLarge):
        return 413, _TOO_LARGE
    if isinstance(error, storage.StoreError):
        return 503, _store_sentence(error)
    if isinstance(error, zergling.RuleError):
        return 400, str(error)
    for kind, answer in _ANSWERS.items():
        if isinstance(error, kind):
            return answer
    return None


def _store_sentence(error: storage.StoreError) -> str:
    if isinstance(error, storage.WriteFailed):
        return (
            "The store failed to write, and it is unknown whether this was carried out: "
            "GET before you repeat it, or repeat it with the Idempotency-Key that you sent."
        )
    if isinstance(error, pending.NeverKnown):
        return (
            "The store's answer was lost, and the original service has written since, so it is "
            "unknown whether this was carried out: GET before you repeat it."
        )
    if isinstance(error, storage.OutcomeUnknown):
        return (
            "The store's answer was lost, so it is unknown whether this was carried out: "
            "GET before you repeat it, or repeat it with the Idempotency-Key that you sent."
        )
    kinds = type(error).__mro__
    why = next(_UNAVAILABLE_REASONS[kind] for kind in kinds if kind in _UNAVAILABLE_REASONS)
    return f"{why}; nothing was changed, so try again."


def _acceptable_types(renderer_classes: Iterable[type[BaseRenderer]]) -> str:
    *others, last = (str(renderer.media_type) for renderer in renderer_classes)
    media_types = f"{', '.join(others)} or {last}" if others else last
    return f"This URL answers with {media_types}."


def _framework_response(error: drf.APIException) -> Response:
    sentence = _STATUS_SENTENCES.get(error.status_code) or " ".join(_messages(error.detail))
    headers = {}
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    return Response({"error": sentence}, status=error.status_code, headers=headers)


def _messages(detail: object, path: str = "") -> Iterator[str]:
    """Yield the messages of DRF's nested error detail, each prefixed with its field's path."""
    if isinstance(detail, Mapping):
        for field, inner in detail.items():
            name = path if field == "non_field_errors" else f"{path}.{field}".lstrip(".")
            yield from _messages(inner, name)
    elif isinstance(detail, list | tuple):
        for inner in detail:
            yield from _messages(inner, path)
    else:
        sentence = f"{path}: {detail}" if path else str(detail)
        yield sentence if sentence.endswith(".") else f"{sentence}."


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer requests that Django rejects as suspicious: Django's ``handler400``."""
    return error_response(400, "The Host header is not allowed here, or the request is malformed.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer URLs without a route: Django's ``handler404``."""
    return error_response(404, f"There is nothing at this URL: begin at {_LIST}.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer unexpected errors, which Django has logged: Django's ``handler500``."""
    return error_response(500, "The service failed; its log says why.")
