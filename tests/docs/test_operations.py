"""Tests the tables of statuses and log lines in docs/operations.md against the code.

The code is read as source: every log call with its message and logger, and every status that
appears in it or in the OpenAPI document.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus
from itertools import product
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

GUNICORN = "gunicorn.error"
"""The name of gunicorn's logger, which the worker uses too."""

OF_OTHERS = {
    ("WORKER TIMEOUT (pid:…)", "CRITICAL", GUNICORN),
    ("Worker (pid:…) was sent SIGKILL! Perhaps out of memory?", "ERROR", GUNICORN),
    ("Internal Server Error: …", "ERROR", "django.request"),
}
"""Severe lines of gunicorn and Django, which the page lists too."""

ANSWERING = {"Response", "HttpResponse", "json_response", "error_response"}
REFUSING = {"RequestError", "malformed", "BodyError", "refuse"}
"""Matches statuses of responses before Django: a number, an HTTPStatus name or a status line."""

_STATUS_LINE = re.compile(r"([1-5]\d\d) [A-Z]")
_LEVEL = re.compile(rf"\b({'|'.join(set(LEVELS.values()))})\b")


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield _name(path), ast.parse(path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            named = function.attr if isinstance(function, ast.Attribute) else None
            yield named or (function.id if isinstance(function, ast.Name) else ""), node


# Log lines


def logged() -> set[tuple[str, str, str]]:
    """Every message in the table's notation, with its level and logger."""
    found: set[tuple[str, str, str]] = set()
    for name, tree in modules():
        known = _loggers(name, tree)
        for method, call in calls(tree):
            logger = _logger_of(call, known)
            if logger is None or method not in LEVELS:
                continue
            (message, *_) = call.args
            assert isinstance(message, ast.Constant), f"{name}:{call.lineno}: no literal message"
            text = re.sub(r"%[rsd]", "…", str(message.value))
            for line in [text] if re.search(r"\w", text) else errors_of_stores():
                found.add((line, LEVELS[method], logger))
    return found


def _loggers(name: str, tree: ast.Module) -> dict[str, str]:
    """The loggers of a module, by the name of their variable."""
    return {
        ast.unparse(node.targets[0]): name if argument == "__name__" else ast.literal_eval(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        if (argument := _argument_of_get_logger(node.value)) is not None
    }


def _argument_of_get_logger(value: ast.expr) -> str | None:
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "logging.getLogger":
        return ast.unparse(value.args[0])
    return None


def _logger_of(call: ast.Call, known: dict[str, str]) -> str | None:
    """The logger of a call, None if it is not a log call."""
    if not isinstance(call.func, ast.Attribute):
        return None
    target = ast.unparse(call.func.value)
    if target in known:
        return known[target]
    if target in {"log", "self.log"}:
        return GUNICORN
    assert not re.search(r"(?:\b_?log(?:ger)?|getLogger\(.*\))$", target), f"whose is {target}?"
    return None


def errors_of_stores() -> list[str]:
    """The notation of lines that contain only an error's name and reason."""
    return [f"{kind.__name__}: …" for kind in answered_kinds()]


def told() -> set[tuple[str, str, str]]:
    """The rows of the table; a row without a logger has those of the row above."""
    found: set[tuple[str, str, str]] = set()
    levels, loggers = list[str](), list[str]()
    for line, origin, *_ in PAGE.table("line"):
        if named := codes(origin):
            levels, loggers = _LEVEL.findall(origin), named
        found |= set(product(codes(line), levels, loggers))
    return found


def test_the_page_explains_all_logged_lines_above_info_and_no_others_than_logged_ones() -> None:
    ours = logged()
    assert {GUNICORN, "zerglings.feed.reader"} <= {logger for _, _, logger in ours}
    assert {"INFO", "WARNING", "ERROR"} == {level for _, level, _ in ours}
    severe = {line for line in ours if line[1] != "INFO"} | OF_OTHERS
    assert severe <= told() <= ours | OF_OTHERS


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
