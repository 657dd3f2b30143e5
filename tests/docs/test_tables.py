"""Tests that the tables in the documentation list exactly what the code defines."""

from __future__ import annotations

import json
import re
import signal
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric

from overmind_project.middleware import access_log
from overmind_project.monitoring import collectors
from overmind_project.openapi.generator import Generator
from overmind_project.server import connection_metrics
from overmind_project.settings import VARIABLES
from tests.support.backends import sqlite_backend
from tests.support.manage import python
from tests.support.pages import PAGES, Page, codes
from tests.support.prometheus import Metrics
from tests.support.service import ROOT, Service
from zerglings.management.commands import bootstrap_couch
from zerglings.repository import counters
from zerglings.storage import instrumented

COUNTING = (connection_metrics, counters, instrumented, access_log)
"""The modules whose import registers the metrics."""

SHOW = """
import json
from overmind_project import settings
from overmind_project.settings import VARIABLES
django = {"DJANGO_SECRET_KEY": "", "DJANGO_DEBUG": settings.DEBUG,
          "DJANGO_ALLOWED_HOSTS": ",".join(settings.ALLOWED_HOSTS)}
values = {name: getattr(settings, name, None) for name in VARIABLES} | django
values["OVERMIND_SQLITE_PATH"] = settings.OVERMIND_SQLITE_PATH.relative_to(settings.BASE_DIR)
print(json.dumps(values, default=str))
"""
PORT_OF_COUCHDB = "from overmind_project.settings import COUCHDB_URL; print(COUCHDB_URL)"

_MAKE = re.compile(r"(?:^|[\s(])make ([a-z][a-z0-9-]*)")
_MANAGE = re.compile(r"manage\.py ([a-z_]+)((?: [^|;&>#]*)?)")
_DJANGO_S_OWN = {"check", "collectstatic", "spectacular"}


def page(name: str) -> Page:
    return Page(ROOT / name)


def all_code() -> Iterator[tuple[str, str]]:
    for each in map(Page, PAGES):
        for code in each.code:
            yield each.name, code


# Settings


@cache
def variables() -> dict[str, str]:
    """The default that the page gives for each variable."""
    rows = page("docs/configuration.md").table("variable")
    names = [name for row in rows for name in codes(row[0])]
    assert len(names) == len(set(names))
    return {name: row[-1] for row in rows for name in codes(row[0])}


def test_the_table_of_settings_lists_exactly_the_variables() -> None:
    assert set(variables()) == VARIABLES


def test_the_defaults_in_the_table_equal_those_of_the_settings() -> None:
    """A cell may contain more than the default, and any text if there is none."""
    done = python("-c", SHOW)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    done = python("-c", PORT_OF_COUCHDB, COUCHDB_SERVICE_HOST="db")
    shown["COUCHDB_SERVICE_PORT"] = done.stdout.strip().rpartition(":")[2]
    for name, cell in variables().items():
        value = shown[name]
        is_plain = value not in (None, "", [], {}, False) and not name.endswith(
            ("PASSWORD", "TOKENS")
        )
        assert not is_plain or str(value) in codes(cell), name


def test_every_named_check_id_exists() -> None:
    named = {id_ for _, code in all_code() for id_ in re.findall(r"overmind\.[EW]\d+", code)}
    code = (ROOT / "overmind_project/checks.py").read_text(encoding="utf-8")
    assert named
    assert named <= set(re.findall(r"overmind\.[EW]\d+", code))


# Metrics


def families() -> set[str]:
    """The names of all metrics, as used in queries."""
    known = [
        *REGISTRY.collect(),
        *collectors.ServiceCollector().collect(),
        *collectors.CopiesCollector(lambda: 0).collect(),
        *collectors.RegionsCollector(dict).collect(),
    ]
    return {_asked_for(each) for each in known if each.name.startswith("overmind_")}


def _asked_for(family: Metric) -> str:
    ends = {"counter": "_total", "info": "_info"}
    return family.name + ends.get(family.type, "")


def test_the_table_of_metrics_lists_exactly_the_metrics() -> None:
    assert all(module.__name__ for module in COUNTING)
    rows = page("docs/operations.md").table("metric")
    assert {codes(row[0])[0] for row in rows} == families()
    assert len(rows) == len(families())


def test_the_labels_in_the_table_equal_those_of_the_metrics(tmp_path: Path) -> None:
    with Service(sqlite_backend(tmp_path).environment, tmp_path) as service:
        spawned = service.call("POST", "/zerglings/").json["zergling"]["id"]
        service.call("POST", f"/zerglings/{spawned}", '"M"')
        found = Metrics.of(service).names()
    compared = 0
    for name, labels, _ in page("docs/operations.md").table("metric"):
        sample = codes(name)[0]
        seen = found.get(sample, found.get(f"{sample}_count"))
        if seen is not None:
            assert set(codes(labels)) == seen - {"le"}, sample
            compared += 1
    assert compared >= 15


# Requests


def test_the_table_of_requests_lists_exactly_the_operations() -> None:
    generator = Generator(title="")  # type: ignore[no-untyped-call]  # drf-spectacular is typed in parts
    paths = generator.get_schema(request=None, public=True)["paths"]
    known = {
        f"{method.upper()} {path.replace('{', '<').replace('}', '>')}"
        for path, operations in paths.items()
        for method in operations
    }
    rows = page("docs/api.md").table("request")
    listed = {code.partition("?")[0] for row in rows for code in codes(row[0])}
    assert {code.rstrip("/") for code in listed} == {code.rstrip("/") for code in known}


# Commands


def targets() -> dict[str, bool]:
    """The targets of the Makefile, and whether `make help` shows each."""
    found = re.findall(r"(?m)^([a-z][a-z0-9-]*):(.*)$", (ROOT / "Makefile").read_text())
    return {name: "## " in rest for name, rest in found}


def test_every_named_make_target_exists() -> None:
    named = {target for _, code in all_code() for target in _MAKE.findall(code)}
    assert len(named) > 5
    assert named <= targets().keys()


def test_every_make_target_is_described() -> None:
    told = "\n".join(page("docs/development.md").code)
    shown = {name for name, is_shown in targets().items() if is_shown}
    assert len(shown) > 20
    assert shown - {"help"} <= set(_MAKE.findall(told))


@cache
def options(command: str) -> frozenset[str]:
    """The options of a command, those of its actions included."""
    app = get_commands().get(command, "django.core")
    return frozenset(_options(load_command_class(app, command).create_parser("manage.py", command)))


def _options(parser: ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, _SubParsersAction):
            for one in action.choices.values():
                yield from _options(one)


def test_every_named_command_and_option_exists() -> None:
    ours = set(our_commands())
    named = set()
    for where, code in all_code():
        for command, rest in _MANAGE.findall(code):
            assert command in ours | _DJANGO_S_OWN, f"{where}: {code}"
            given = set(re.findall(r"(?<!\S)(--[a-z][a-z-]*)", rest))
            assert given <= options(command), f"{where}: {code}"
            named.add(command)
    assert ours <= named


def our_commands() -> list[str]:
    return sorted(path.stem for path in ROOT.glob("*/management/commands/[a-z]*.py"))


@pytest.mark.parametrize("command", our_commands())
def test_every_option_of_a_command_is_documented(command: str) -> None:
    told = " ".join(code for _, code in all_code())
    inherited = options("serve")
    assert {o for o in options(command) - inherited if not o.startswith("--no-")} <= set(
        re.findall(r"--[a-z-]+", told)
    )


def test_every_exit_status_of_the_bootstrap_is_explained() -> None:
    rows = page("docs/bootstrap.md").table("exit status")
    explained = {int(status) for row in rows for status in re.findall(r"\b\d+\b", row[0])}
    ended_by_signals = {128 + signal.SIGTERM, 128 + signal.SIGINT}
    assert explained == {*range(bootstrap_couch.SERVER_ERROR + 1)} | ended_by_signals


def test_every_named_bench_module_exists() -> None:
    named = {name for _, code in all_code() for name in re.findall(r"-m (bench[\w.]*)", code)}
    assert named
    for name in named:
        place = ROOT / name.replace(".", "/")
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), name
