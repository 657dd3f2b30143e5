"""Typed readers of environment variables that collect every problem they find.

An invalid variable reads as its default, and the problem is recorded with a hint. `raise_first`
stops a program that needs valid settings. Messages never contain the value of a secret.

A byte order mark at the start and one line end at the end of a value are ignored, in variables
and files. Empty variables count as unset. Addresses that Kubernetes injects for a Service, such as
`COUCHDB_PORT=tcp://…`, count as unset too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

from overmind_project.addresses import LAST_PORT, is_address, is_host, problem_of_url
from overmind_project.certificates import problem_of_certificates
from zerglings.secret import Secret, strip_bom_and_newline

_Value = TypeVar("_Value")

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_INJECTED_NAME = re.compile(
    r".+_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_INJECTED_ADDRESS = re.compile(r"(tcp|udp|sctp)://\S+")
_SERVICE_ACCOUNT = "COUCHDB_USERNAME and COUCHDB_PASSWORD"
_PEER_ACCOUNT = "COUCHDB_PEERS_USERNAME and COUCHDB_PEERS_PASSWORD"
_PEER_NAME = re.compile("[a-z0-9-]{1,63}")


@dataclass(frozen=True, slots=True)
class Problem:
    """An invalid variable, the reason, and a hint how to correct it."""

    variable: str
    sentence: str
    hint: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.sentence}"


class Environment:
    """Reads variables; records the names that were read and the problems that were found.

    Args:
        variables: values by name; the process's environment by default.

    >>> env = Environment({"WEB_CONCURRENCY": "many"})
    >>> env.number("WEB_CONCURRENCY", 1, least=1, most=256)
    1
    >>> str(env.problems[0])
    "WEB_CONCURRENCY: 'many' is not a whole number from 1 to 256"
    """

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables
        self.names: set[str] = set()
        self.problems: list[Problem] = []

    def report_problem(self, name: str, sentence: str, hint: str) -> None:
        """Record a problem."""
        self.problems.append(Problem(name, sentence, hint))

    def raise_first(self) -> None:
        """Raise the first problem, if there is one.

        Raises:
            ImproperlyConfigured: one line that begins with the variable's name.
        """
        for problem in self.problems:
            raise ImproperlyConfigured(str(problem))

    def unread(self) -> list[str]:
        """Return the sorted names that were not read, without those that Kubernetes injects."""
        return sorted(
            name
            for name, value in self._variables.items()
            if name not in self.names
            and not _INJECTED_NAME.fullmatch(name)
            and not _is_injected_address(name, value)
        )

    def given(self, *names: str) -> bool:
        """Return whether any of these variables has a value."""
        self.names.update(names)
        return any(self._value(name) for name in names)

    def _value(self, name: str) -> str:
        value = strip_bom_and_newline(self._variables.get(name, ""))
        return "" if _is_injected_address(name, value) else value

    def text(self, name: str, default: str = "") -> str:
        """Return the value of a variable."""
        self.names.add(name)
        value = self._value(name) or default
        try:
            value.encode()
        except UnicodeEncodeError:
            self.report_problem(name, "not UTF-8", "Write it in UTF-8.")
            return default
        return value

    def words(self, name: str) -> list[str]:
        """Return the parts of a comma-separated list."""
        return [word.strip() for word in self.text(name).split(",") if word.strip()]

    def matching(self, name: str, pattern: str, what: str, default: str) -> str:
        """Return a value that matches `pattern` as a whole.

        `what` describes a valid value in messages.
        """
        value = self.text(name, default)
        if not re.fullmatch(pattern, value):
            self.report_problem(name, f"not {what}", f"Give {what}{_or_empty(default)}.")
            return default
        return value

    def parsed(
        self, name: str, parse: Callable[[str], _Value], what: str, default: _Value
    ) -> _Value:
        """Return the result of `parse`, which raises `ValueError` for an invalid value.

        `what` describes a valid value in messages.
        """
        value = self.text(name)
        if not value:
            return default
        try:
            return parse(value)
        except ValueError:
            self.report_problem(
                name, f"{value!r} is not {what}", f"Give {what}, or leave it empty."
            )
            return default

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        """Return a value that must be one of `choices`."""
        value = self.text(name, default)
        if value not in choices:
            listed = ", ".join(choices)
            self.report_problem(
                name,
                f"{value!r} is not one of {listed}",
                f"Give one of {listed}{_or_empty(default)}.",
            )
            return default
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return a switch: 1, true, yes, on or 0, false, no, off; case does not matter."""
        value = self.text(name).lower()
        if value and value not in _TRUE | _FALSE:
            usual = "on" if default else "off"
            self.report_problem(
                name,
                f"{value!r} is neither on nor off",
                f"Give 1, true, yes or on, or 0, false, no or off{_or_empty(usual)}.",
            )
            return default
        return value in _TRUE if value else default

    def integer(self, name: str, default: int | None, *, least: int, most: int) -> int | None:
        """Return a whole number between `least` and `most`."""
        value = self.text(name)
        if not value:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            what = f"a whole number from {least} to {most}"
            usual = "the server's choice" if default is None else str(default)
            self.report_problem(name, f"{value!r} is not {what}", f"Give {what}{_or_empty(usual)}.")
            return default
        return int(value)

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number between `least` and `most`.

        Unlike `integer`, it always has a default.
        """
        value = self.integer(name, default, least=least, most=most)
        return default if value is None else value

    def listen_address(self, name: str, default: str) -> str:
        """Return a listen address, `host:port`, or `:port` for all addresses."""
        value = self.text(name, default)
        if not is_address(value):
            what = "of the form host:port or :port"
            hint = f"Give an address {what}, with a port from 1 to {LAST_PORT}"
            self.report_problem(name, f"{value!r} is not {what}", f"{hint}{_or_empty(default)}.")
            return default
        return value

    def host(self, name: str) -> str:
        """Return a host name or address; an IPv6 address has no brackets."""
        value = self.text(name)
        if value and not is_host(value):
            self.report_problem(
                name, "not a host", "Give a name or an address, without scheme and port."
            )
            return ""
        return value

    def base_url(self, name: str) -> str:
        """Return an http or https URL without credentials, query and trailing slash."""
        value = self.text(name)
        problem = problem_of_url(value, _SERVICE_ACCOUNT)
        if problem:
            self.report_problem(
                name,
                problem,
                "Give http(s)://host:port, with a path if needed, and nothing more; give the "
                f"account in {_SERVICE_ACCOUNT}.",
            )
            return ""
        return value.rstrip("/")

    def peers(self, name: str) -> dict[str, str]:
        """Return a comma-separated list of `name=URL` as base URLs by name.

        Both must be unique. Messages repeat valid names only, because an entry may contain a
        password by mistake.
        """
        found: dict[str, str] = {}
        for number, word in enumerate(self.words(name), 1):
            peer, _, url = word.partition("=")
            url = url.rstrip("/")
            if not _PEER_NAME.fullmatch(peer):
                problem = f"entry {number} does not begin with a name of a-z, 0-9 and - and ="
            elif peer in found:
                problem = f"the name {peer!r} is given twice"
            elif reason := problem_of_url(url, _PEER_ACCOUNT):
                problem = f"{peer!r}: {reason}"
            elif url in found.values():
                problem = f"{peer!r} has the URL of another peer"
            else:
                found[peer] = url
                continue
            self.report_problem(
                name,
                problem,
                "Give name=http(s)://host:port of each peer, separated by commas; give the account "
                f"in {_PEER_ACCOUNT}.",
            )
            return {}
        return found

    def certificates(self, name: str) -> Path | None:
        """Return the path of a PEM file with certificates, None if the variable is unset."""
        value = self.text(name)
        if not value:
            return None
        if problem := problem_of_certificates(Path(value)):
            self.report_problem(
                name, problem, "Name a file of one or more certificates in PEM form."
            )
            return None
        return Path(value)

    def secret(self, name: str, default: Secret | None = None) -> Secret:
        """Return a secret from `NAME`, or from the file that `NAME_FILE` names.

        The file must be readable.
        """
        value, path = self.text(name), self.text(f"{name}_FILE")
        if value and path:
            self.report_problem(name, f"given twice, also as {name}_FILE", "Give one of the two.")
            return Secret(name)
        if not value and not path and default is not None:
            return default
        found = Secret(name, value, Path(path) if path else None)
        if problem := found.read_error():
            self.report_problem(
                f"{name}_FILE",
                problem,
                f"Name a text file that this process may read, or give {name} itself.",
            )
            return Secret(name)
        return found


def _is_injected_address(name: str, value: str) -> bool:
    """Return whether Kubernetes injected the variable: `X_PORT=tcp://…` for a Service `x`.

    See https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables.
    """
    return name.endswith("_PORT") and _INJECTED_ADDRESS.fullmatch(value) is not None


def _or_empty(default: str) -> str:
    return f", or leave it empty for {default}" if default else ", or leave it empty"
