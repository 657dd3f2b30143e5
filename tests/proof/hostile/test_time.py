"""Tests that requests and regular expressions take time in proportion to their input."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.urls import get_resolver
from drf_spectacular.settings import spectacular_settings

import overmind_project
import zerglings
from tests.proof.hostile.budget import TRIED
from tests.proof.hostile.costs import COSTLY
from tests.proof.hostile.wsgi import Call, answer_to

LENGTH = 16_000
"""Length of the tested strings: twice the limit of a header."""

CPU_LIMIT = 0.25
"""CPU seconds; a quadratic number of steps takes longer."""

IN_USE = re.compile(r"\b(\w+)\.(?:search|sub|findall|finditer|split)\(")
"""Methods that search anywhere in a string; all others match from its start."""


def modules() -> Iterator[ModuleType]:
    for package in (overmind_project, zerglings):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith(("wsgi", "gunicorn_conf")):  # they start something
                yield importlib.import_module(found.name)


def patterns_of(holder: object) -> Iterator[tuple[str, re.Pattern[Any]]]:
    for name, value in vars(holder).items():
        if isinstance(value, re.Pattern):
            yield name, value


def literals_of(source: str) -> Iterator[str]:
    """Yield the expressions that are passed directly to functions of `re`."""
    call = r"\b(?:re\.(?:compile|search|match|fullmatch|sub|findall|split)|matching)\("
    for found in re.finditer(rf"""{call}(?:\s*"[A-Z_]+",)?\s*r(["'])(.*?)\1""", source, re.DOTALL):
        yield found[2]


def expressions() -> dict[str, tuple[re.Pattern[Any], bool]]:
    """Return every regular expression by its location, and whether it is searched for."""
    found: dict[str, tuple[re.Pattern[Any], bool]] = {}
    for module in modules():
        source = inspect.getsource(module)
        searched = set(IN_USE.findall(source))
        for name, pattern in patterns_of(module):
            found[f"{module.__name__}.{name}"] = pattern, name in searched
        for literal in literals_of(source):
            found.setdefault(f"{module.__name__} {literal}", (re.compile(literal), False))
    for route in get_resolver().url_patterns:
        found[f"route {route.pattern}"] = re.compile(str(route.pattern)), False
    document = spectacular_settings.DEFAULT_GENERATOR_CLASS().get_schema(public=True)
    for told in patterns_in(document):
        found[f"document {told}"] = re.compile(told), False
    return found


def patterns_in(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        for inner in part.values():
            yield from patterns_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from patterns_in(inner)


EXPRESSIONS = expressions()


def bad_for(pattern: re.Pattern[Any]) -> Iterator[str]:
    """Yield long strings that almost match an expression's repetitions."""
    own = set(re.findall(r"[^\\()\[\]{}|^$?*+]", str(pattern.pattern)))
    letters = sorted((own & set("\"',;:=-_./@<>`\\/ ")) | set('a0 "'))
    pumps = [*letters, *("".join(pair) for pair in itertools.permutations(letters, 2))]
    beginnings = ("", '"a"', "00-" + "1" * 32 + "-" + "2" * 16 + "-01-", "; boundary=", "a")
    for pump in pumps:
        for beginning in beginnings:
            yield (beginning + pump * LENGTH)[:LENGTH] + "\x00"


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_regular_expressions_take_linear_time(name: str) -> None:
    pattern, is_searched = EXPRESSIONS[name]
    ways: list[Callable[..., object]] = [pattern.fullmatch, pattern.match]
    if is_searched:
        ways.append(pattern.search)
    for text in bad_for(pattern):
        TRIED["strings for expressions"] += 1
        subject = text if isinstance(pattern.pattern, str) else text.encode()
        for way in ways:
            began = time.thread_time()
            way(subject)
            assert time.thread_time() - began < CPU_LIMIT, (way, text[:60])


def test_every_compiled_expression_is_tested() -> None:
    assert {
        "zerglings.api.conditions._TAG",
        "zerglings.domain.document_format._UUID",
        "overmind_project.http.request_context._TRACE_PARENT",
        "overmind_project.middleware.body._BOUNDARY",
        "overmind_project.logs._UNSAFE",
    } <= set(EXPRESSIONS)
    compiled = sum(
        path.read_text().count("re.compile(")
        for package in (overmind_project, zerglings)
        for path in Path(package.__path__[0]).rglob("*.py")
    )
    named = [name for name in EXPRESSIONS if name.startswith(("zerglings", "overmind_project"))]
    assert len(named) >= compiled


def test_a_quadratic_expression_is_detected() -> None:
    squares = re.compile(r"\s*,")
    began = time.thread_time()
    squares.search(" " * 2 * LENGTH)  # four times as long, on any processor
    assert time.thread_time() - began > CPU_LIMIT


@pytest.fixture(scope="module")
def alive(served: Path) -> str:
    zergling_id: str = answer_to(Call("POST", "/zerglings/")).json["zergling"]["id"]
    answer_to(Call("GET", "/zerglings/", headers={"Accept": "text/html"}))  # loads the templates
    return zergling_id


def seconds(make: Callable[[int], Call], size: int, zergling_id: str) -> float:
    """Return the CPU seconds of a request, the minimum of three."""
    costs = []
    for _ in range(3):
        call = make(size)
        call = Call(call.method, call.target.replace("{id}", zergling_id), call.body, call.headers)
        began = time.process_time()
        reply = answer_to(call)
        costs.append(time.process_time() - began)
        assert reply.status < 500
        assert reply.status != 413, "the request was not parsed"
    return min(costs)


@pytest.mark.parametrize("name", COSTLY)
def test_a_request_takes_time_proportional_to_its_length(alive: str, name: str) -> None:
    most, make = COSTLY[name]
    TRIED["requests that cost"] += 1
    whole, quarter = seconds(make, most, alive), seconds(make, most // 4, alive)
    # Four times the length may cost four times as much; a square would cost sixteen times.
    assert whole < 8 * quarter + 0.01
    assert whole < 0.05 + 0.3e-6 * most
