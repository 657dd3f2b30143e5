"""Runs the linter and the generators of clients, and programs that use what they generate."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.node import find_node
from tests.support.service import clean_environment
from tests.support.tokens import WRITER

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
ADDRESS = "http://localhost:8080"
"""The service's address in the programs."""

TOKEN = "OVERMIND_TOKEN"
"""The variable from which programs take their token."""

COMPILER = (
    *("tsc", "--strict", "--target", "es2022", "--lib", "es2023,dom,dom.iterable"),
    *("--module", "es2022", "--moduleResolution", "bundler", "--types", "node"),
)

TIMEOUT = 120.0


class Failure(AssertionError):
    """A program ended with an error; the message is what it printed."""


def run(*command: str | Path, directory: Path) -> str:
    """Run a program of npm, Python or node and return what it prints."""
    tools = [Path(sys.executable).parent, MODULES / ".bin", find_node().parent]
    environment = clean_environment() | {
        "PATH": os.pathsep.join([*map(str, tools), os.environ["PATH"]]),
        "REDOCLY_TELEMETRY": "off",
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
        "NO_COLOR": "1",
        TOKEN: WRITER,
    }
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=TIMEOUT
    )
    if done.returncode:
        raise Failure(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def written(document: Any, directory: Path) -> Path:
    """Return a new file with an OpenAPI document."""
    path = directory / "document.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def python_client(document: Path, directory: Path) -> set[str]:
    """Generate the package ``overmind_client``; return the names of its operations."""
    run(
        *("openapi-python-client", "generate", "--meta", "none", "--fail-on-warning"),
        *("--path", document),
        directory=directory,
    )
    modules = (directory / "overmind_client" / "api").glob("*/*.py")
    return {module.stem for module in modules if module.stem != "__init__"}


def fetch_client(document: Path, directory: Path) -> set[str]:
    """Generate ``overmind.d.ts`` for openapi-fetch; return the names of its operations."""
    run("openapi-typescript", document, "--output", "overmind.d.ts", directory=directory)
    types = (directory / "overmind.d.ts").read_text(encoding="utf-8")
    (operations,) = re.findall(r"(?ms)^export interface operations \{\n(.*?)^\}", types)
    return set(re.findall(r"(?m)^    (\w+): \{", operations))


def class_client(document: Path, directory: Path) -> set[str]:
    """Generate ``client.ts`` with the class ``Api``; return the names of its operations."""
    run(
        *("swagger-typescript-api", "generate", "--path", document, "--silent"),
        *("--output", directory, "--name", "client.ts"),
        directory=directory,
    )
    names = re.findall(r"(?m)^ +\* @name (\w+)$", (directory / "client.ts").read_text("utf-8"))
    return {name[0].lower() + name[1:] for name in names}


def run_python(source: str, address: str, directory: Path) -> str:
    """Run a program beside a generated package and return what it prints."""
    (directory / "program.py").write_text(source.replace(ADDRESS, address), encoding="utf-8")
    return run(sys.executable, "program.py", directory=directory)


def run_typescript(source: str, address: str, directory: Path) -> str:
    """Compile a program with what was generated beside it, run it and return what it prints."""
    (directory / "program.ts").write_text(source.replace(ADDRESS, address), encoding="utf-8")
    (directory / "package.json").write_text('{"type": "module"}')
    (directory / "node_modules").symlink_to(MODULES)
    run(*COMPILER, "program.ts", directory=directory)
    return run("node", "program.js", directory=directory)
