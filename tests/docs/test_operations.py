"""Tests the tables of statuses and log lines in docs/operations.md against the code.

The code is read as source: every log call with its message and level, and every status that
appears in it or in the OpenAPI document.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from rest_framework import exceptions as drf

from overmind_project.openapi.generator import Generator
from tests.support.pages import Page, codes
from tests.support.service import ROOT
from tests.support.store_errors import answered_kinds
from zerglings.api import exceptions

PAGE = Page(ROOT / "docs" / "operations.md")
PACKAGES = ("zerglings", "overmind_project")
LEVELS = {
    "info": "INFO",
    "warning": "WARNING",
    "error": "ERROR",
    "exception": "ERROR",
    "critical": "CRITICAL",
}

OF_OTHERS = {
    "WORKER TIMEOUT (pid:…)",
    "Worker (pid:…) was sent SIGKILL! Perhaps out of memory?",
    "Internal Server Error: …",
}
"""Severe lines of gunicorn and Django, which the page lists too."""

ANSWERING = {"Response", "HttpResponse", "json_response", "error_response"}
REFUSING = {"RequestError", "malformed", "BodyError", "refuse"}
"""Matches statuses of responses before Django: a number, an HTTPStatus name or a status line."""

_STATUS_LINE = re.compile(r"([1-5]\d\d) [A-Z]")


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            named = function.attr if isinstance(function, ast.Attribute) else None
            yield named or (function.id if isinstance(function, ast.Name) else ""), node


# Log lines


def logged() -> set[tuple[str, str]]:
    """Every message in the table's notation, with its level."""
    found: set[tuple[str, str]] = set()
    for path, tree in modules():
        known = _loggers(tree)
        for method, call in calls(tree):
            if method not in LEVELS or not _is_of_logger(call, known):
                continue
            (message, *_) = call.args
            assert isinstance(message, ast.Constant), f"{path}:{call.lineno}: no literal message"
            text = re.sub(r"%[rsd]", "…", str(message.value))
            for line in [text] if re.search(r"\w", text) else errors_of_stores():
                found.add((line, LEVELS[method]))
    return found


def _loggers(tree: ast.Module) -> set[str]:
    """The variables of a module that are loggers, and the names of gunicorn's logger."""
    return {"log", "self.log"} | {
        ast.unparse(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "logging.getLogger"
    }


def _is_of_logger(call: ast.Call, known: set[str]) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    target = ast.unparse(call.func.value)
    is_known = target in known
    assert is_known or not re.search(r"(?:\b_?log(?:ger)?|getLogger\(.*\))$", target), target
    return is_known


def errors_of_stores() -> list[str]:
    """The notation of lines that contain only an error's name and reason."""
    return [f"{kind.__name__}: …" for kind in answered_kinds()]


def told() -> set[str]:
    return {line for row in PAGE.table("line") for line in codes(row[0])}


def test_the_page_explains_all_lines_above_info_and_only_logged_ones() -> None:
    ours = logged()
    assert {"INFO", "WARNING", "ERROR"} == {level for _, level in ours}
    severe = {line for line, level in ours if level != "INFO"}
    assert severe | OF_OTHERS <= told()
    assert told() <= {line for line, _ in ours} | OF_OTHERS


# Statuses


def answered() -> set[int]:
    generator = Generator(title="")  # type: ignore[no-untyped-call]  # drf-spectacular is typed in parts
    paths = generator.get_schema(request=None, public=True)["paths"]
    promised = {
        int(status)
        for operations in paths.values()
        for operation in operations.values()
        for status in operation["responses"]
        if status != "default"  # any error
    }
    written = {status for _, tree in modules() for status in _written(tree)}
    mapped = {status for status, _ in exceptions._ANSWERS.values()}
    framework = {each.status_code for each in vars(drf).values() if _is_raised(each)}
    return promised | written | mapped | framework


def _written(tree: ast.Module) -> Iterator[int]:
    for function, call in calls(tree):
        if function in ANSWERING:
            values = [keyword.value for keyword in call.keywords if keyword.arg == "status"]
            for value in [*call.args[:2], *values]:
                if isinstance(value, ast.Constant) and type(value.value) is int:
                    yield value.value
        if function in REFUSING:
            yield from filter(None, map(_refused, call.args))


def _refused(value: ast.expr) -> int | None:
    if isinstance(value, ast.Attribute) and ast.unparse(value.value) == "HTTPStatus":
        return int(HTTPStatus[value.attr])
    if not isinstance(value, ast.Constant):
        return None
    if type(value.value) is int:
        return value.value
    line = _STATUS_LINE.match(str(value.value))
    return int(line[1]) if line else None


def _is_raised(each: object) -> bool:
    """Whether the framework can raise this error here, other than for authentication."""
    return (
        isinstance(each, type)
        and issubclass(each, drf.APIException)
        and not issubclass(each, drf.NotAuthenticated | drf.PermissionDenied | drf.Throttled)
        and each is not drf.AuthenticationFailed
    )


def test_every_returned_status_is_explained() -> None:
    rows = PAGE.table("status")
    explained = {int(status) for row in rows for status in re.findall(r"\b\d{3}\b", row[0])}
    known = answered()
    assert {200, 201, 204, 303, 304, 400, 401, 403, 404, 408, 409} <= known
    assert {412, 413, 414, 415, 417, 422, 429, 431, 500, 503} <= known
    assert known <= explained
