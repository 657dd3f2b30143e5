"""Tests that the values in ``openapi.yaml`` equal those of the code and the settings."""

from __future__ import annotations

import json
import re
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from overmind_project import __version__
from overmind_project.auth.credentials import COOKIE, SECURE_COOKIE
from overmind_project.openapi.generator import Generator, description
from tests.support.backends import Backend
from tests.support.service import Service
from tests.support.tokens import LINES, READER, bearer
from zerglings.api.viewset import MAX_OFFSET
from zerglings.domain.pose import COMMANDS, FACINGS
from zerglings.domain.zergling import COMMANDS_PER_REQUEST, COORDINATE_LIMIT
from zerglings.hive.bulk import LIMIT
from zerglings.storage.base import PAGE_LIMIT

FORM = "application/x-www-form-urlencoded"
PREFIX = "/a.b/c"
WITHIN_GRID = {"minimum": -COORDINATE_LIMIT, "maximum": COORDINATE_LIMIT}
COUNT = {"minimum": 1, "maximum": LIMIT}

REPEATED: dict[str, Any] = {
    "schemas Facing enum": list(FACINGS),
    "schemas Location properties x": WITHIN_GRID,
    "schemas Location properties y": WITHIN_GRID,
    "schemas CommandString pattern": f"^[{''.join(COMMANDS)}]{{1,{COMMANDS_PER_REQUEST}}}$",
    "schemas CommandSequence anyOf 1": {"maxItems": COMMANDS_PER_REQUEST},
    "schemas Command enum": list(COMMANDS),
    "schemas SwarmSpawnRequest properties count": COUNT,
    "schemas SwarmCommandsRequest properties commands": {"maxItems": LIMIT},
    "parameters Limit schema": {"minimum": 1, "maximum": PAGE_LIMIT},
    "parameters Offset schema": {"minimum": 0, "maximum": MAX_OFFSET},
    "securitySchemes cookie name": COOKIE,
}
"""Paths in the components, with the values in the code."""


def place(path: str) -> Any:
    """Return the value at a path in the components."""

    def below(part: Any, step: str) -> Any:
        return part[int(step)] if isinstance(part, list) else part[step]

    return reduce(below, path.split(), description()["components"])


@pytest.mark.parametrize("path", REPEATED)
def test_limits_equal_those_of_the_code(path: str) -> None:
    expected = REPEATED[path]
    if isinstance(expected, dict):
        assert expected.items() <= place(path).items()
    else:
        assert place(path) == expected


def test_texts_name_the_limits_of_the_code() -> None:
    command = description()["paths"]["/zerglings/{id}"]["post"]["description"]
    assert re.findall(r"\d+", command) == [str(COMMANDS_PER_REQUEST)]
    assert re.findall(r"\d+", place("schemas Position description"))[0] == str(COORDINATE_LIMIT)
    assert SECURE_COOKIE in place("securitySchemes cookie description")


def test_the_version_is_that_of_the_service() -> None:
    info = Generator().get_schema(public=True)["info"]
    assert (info["title"], info["version"]) == ("Overmind", __version__)
    assert info["license"]["name"] == "MIT"


def test_every_placeholder_is_replaced() -> None:
    assert "${" not in json.dumps(description())


def test_credentials_are_optional_unless_tokens_are_configured(
    sqlite: Backend, tmp_path: Path
) -> None:
    anonymous: dict[str, Any] = {}
    assert anonymous in Generator().get_schema(public=True)["security"]
    assert Generator().get_schema(public=True)["servers"] == [{"url": "/"}]
    with Service(sqlite.environment | {"OVERMIND_TOKENS": LINES}, tmp_path) as service:
        document = service.call("GET", "/schema/", headers=bearer(READER)).json
    assert document["security"] == [{"bearer": []}, {"cookie": []}]


def test_every_named_path_has_the_path_prefix(sqlite: Backend, tmp_path: Path) -> None:
    environment = sqlite.environment | {"OVERMIND_PATH_PREFIX": PREFIX}
    with Service(environment, tmp_path) as service:
        document = service.call("GET", f"{PREFIX}/schema/").json
        location = service.call("POST", f"{PREFIX}/zerglings/").headers["Location"]
        unknown = service.call("GET", f"{PREFIX}/zerglings/nobody").json
        entry_points = service.call("GET", f"{PREFIX}/").json
        here = {"Sec-Fetch-Site": "same-origin"}
        signed_in = service.call("POST", f"{PREFIX}/sign-in", "next=/", here)
    assert document["servers"] == [{"url": PREFIX}]
    parts = document["components"]
    header = parts["headers"]["Location"]
    assert re.fullmatch(header["schema"]["pattern"], location)
    assert re.fullmatch(header["schema"]["pattern"], header["example"])
    assert not re.fullmatch(header["schema"]["pattern"], location.replace(".", "x"))
    examples = parts["responses"]["NoSuchZergling"]["content"]["application/json"]["examples"]
    assert [example["value"] for example in examples.values()] == [unknown]
    assert f"{PREFIX}/sign-in" in json.dumps(parts["responses"]["Unauthorised"])
    answer = document["paths"]["/"]["get"]["responses"]["200"]["content"]["application/json"]
    assert answer["examples"]["All"]["value"] == entry_points
    for path in parts["schemas"]["EntryPoints"]["properties"].values():
        assert re.match(path["pattern"], f"{PREFIX}/")
        assert not re.match(path["pattern"], "/zerglings")
    onward = parts["headers"]["Onward"]
    assert onward["example"] == signed_in.headers["Location"]
    form = document["paths"]["/sign-in"]["post"]["requestBody"]["content"][FORM]
    assert form["examples"]["ToTheMap"]["value"]["next"] == onward["example"]
    assert "__Secure-" in parts["securitySchemes"]["cookie"]["description"]
