"""Django system checks of the settings: `manage.py check` lists all problems at once.

After an error, the service does not start. A warning is for a valid value that is probably a
mistake. Scripts may rely on the ids: an id never changes its meaning, and a new variable gets a new
id.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from difflib import SequenceMatcher
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name

IDS = {
    "OVERMIND_HTTP_ADDR": "overmind.E001",
    "WEB_CONCURRENCY": "overmind.E002",
    "OVERMIND_THREADS": "overmind.E003",
    "OVERMIND_STORE": "overmind.E004",
    "OVERMIND_SQLITE_PATH": "overmind.E005",
    "OVERMIND_HISTORY_TAIL": "overmind.E006",
    "OVERMIND_HEAL_GRACE": "overmind.E007",
    "OVERMIND_STREAMS": "overmind.E010",
    "OVERMIND_LOG_FORMAT": "overmind.E011",
    "OVERMIND_TOKENS": "overmind.E008",
    "OVERMIND_TOKENS_FILE": "overmind.E009",
    "OVERMIND_OPEN_METRICS": "overmind.E012",
    "OVERMIND_RATE_LIMIT": "overmind.E013",
    "OVERMIND_TRUSTED_PROXIES": "overmind.E014",
    "OVERMIND_CORS_ORIGINS": "overmind.E015",
    "OVERMIND_PATH_PREFIX": "overmind.E016",
    "OVERMIND_KEEP_ALIVE": "overmind.E017",
    "OVERMIND_REGION": "overmind.E018",
    "COUCHDB_URL": "overmind.E020",
    "COUCHDB_SERVICE_HOST": "overmind.E021",
    "COUCHDB_SERVICE_PORT": "overmind.E022",
    "COUCHDB_DATABASE": "overmind.E023",
    "COUCHDB_USERNAME": "overmind.E024",
    "COUCHDB_PASSWORD": "overmind.E025",
    "COUCHDB_PASSWORD_FILE": "overmind.E026",
    "COUCHDB_ADMIN_USERNAME": "overmind.E027",
    "COUCHDB_ADMIN_PASSWORD": "overmind.E028",
    "COUCHDB_ADMIN_PASSWORD_FILE": "overmind.E029",
    "COUCHDB_CLUSTER_NODES": "overmind.E030",
    "COUCHDB_Q": "overmind.E031",
    "COUCHDB_N": "overmind.E032",
    "COUCHDB_REVS_LIMIT": "overmind.E033",
    "COUCHDB_CA_FILE": "overmind.E034",
    "COUCHDB_PEERS": "overmind.E035",
    "COUCHDB_PEERS_USERNAME": "overmind.E036",
    "COUCHDB_PEERS_PASSWORD": "overmind.E037",
    "COUCHDB_PEERS_PASSWORD_FILE": "overmind.E038",
    "OVERMIND_BOOTSTRAP_TIMEOUT": "overmind.E040",
    "OVERMIND_BOOTSTRAP_CHECK": "overmind.E041",
    "OVERMIND_BOOTSTRAP_ONLY": "overmind.E042",
    "OVERMIND_BOOTSTRAP_RETIRE": "overmind.E043",
    "OVERMIND_BOOTSTRAP_FORMAT": "overmind.E044",
    "OVERMIND_BOOTSTRAP_REFETCH": "overmind.E045",
    "DJANGO_SECRET_KEY": "overmind.E050",
    "DJANGO_SECRET_KEY_FILE": "overmind.E051",
    "DJANGO_DEBUG": "overmind.E052",
    "DJANGO_ALLOWED_HOSTS": "overmind.E053",
}
"""The id of the error for each variable."""

PLAIN_HTTP = "overmind.W001"
NO_PASSWORD = "overmind.W002"  # noqa: S105 - the id of a warning
UNUSED_COUCHDB = "overmind.W003"
OPEN_FILE = "overmind.W004"
UNWRITABLE_FILE = "overmind.W005"
SHORT_GRACE = "overmind.W006"
MISSPELT = "overmind.W007"
NO_SUCH_HOST = "overmind.W008"

CLUSTER_SUFFIXES = (".svc", ".svc.cluster.local", ".cluster.local", ".internal", ".localhost")
MOUNTED_SECRETS = ("/run/secrets/", "/var/run/secrets/")
"""Where orchestrators mount secrets.

The check of file permissions skips these directories, because every user of the container can read
the files in them.
"""

LIKENESS = 0.6
"""Minimum share of common letters for a word to count as misspelt."""

MATCHING_HOST = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]")
"""An entry of DJANGO_ALLOWED_HOSTS that can match a request. Django compares without the port."""


def register_all() -> None:
    """Register the checks with Django."""
    for check in (errors, misspelt, warnings_of_hosts, warnings_of_couchdb, warnings_of_files):
        register(check, "overmind")


def errors(**_: object) -> list[CheckMessage]:
    """Return an error for every invalid variable."""
    return [
        Error(str(problem), hint=problem.hint, id=IDS[problem.variable])
        for problem in settings.PROBLEMS
    ]


def misspelt(**_: object) -> list[CheckMessage]:
    """Return a warning for each unknown variable whose name resembles a known one."""
    return [
        Warning(
            f"{name}: unknown variable, it has no effect",
            hint=f"Did you mean {' or '.join(meant)}?",
            id=MISSPELT,
        )
        for name in settings.UNREAD_VARIABLES
        if (meant := _meant_by(name))
    ]


def _meant_by(name: str) -> list[str]:
    """Return the known variables that a name resembles.

    Names are compared word by word: `COUCHDB_Q` and `COUCHDB_N` share most letters, but are
    different variables. If no name with the same number of words is similar, names with one word
    more or fewer are considered.
    """
    words = name.split("_")
    likeness = {known: _likeness(words, known.split("_")) for known in settings.VARIABLES}
    best = max(likeness.values())
    if best:
        return sorted(known for known, share in likeness.items() if share == best)
    return sorted(k for k in settings.VARIABLES if _is_one_word_longer(k, name))


def _likeness(words: list[str], known: list[str]) -> float:
    """Return the share of common letters, 0 if any two words differ too much."""
    if len(words) != len(known):
        return 0
    shares = [SequenceMatcher(None, *pair).ratio() for pair in zip(words, known, strict=True)]
    return sum(shares) / len(shares) if min(shares) >= LIKENESS else 0


def _is_one_word_longer(one: str, other: str) -> bool:
    """Return whether removing one inner word from the longer name yields the shorter one."""
    short, long = sorted((one.split("_"), other.split("_")), key=len)
    shortened = [long[:index] + long[index + 1 :] for index in range(1, len(long) - 1)]
    return short in shortened


def warnings_of_hosts(**_: object) -> list[CheckMessage]:
    """Return a warning for each entry of DJANGO_ALLOWED_HOSTS that can match no request."""
    return [
        Warning(
            f"DJANGO_ALLOWED_HOSTS: {host!r} matches no request",
            hint="Give names without scheme, port, path or spaces, separated by commas; "
            ".example.org for a domain and its subdomains; an IPv6 address in brackets.",
            id=NO_SUCH_HOST,
        )
        for host in settings.ALLOWED_HOSTS
        if not MATCHING_HOST.fullmatch(host)
    ]


def warnings_of_couchdb(**_: object) -> list[CheckMessage]:
    """Return warnings about the connection to CouchDB."""
    return list(_couchdb() if settings.OVERMIND_STORE == "couchdb" else _unused_couchdb())


def warnings_of_files(**_: object) -> list[CheckMessage]:
    """Return warnings about the embedded store's file and the files of secrets."""
    return [*_embedded_file(), *_secret_files()]


def _couchdb() -> Iterator[Warning]:
    has_password = bool(settings.COUCHDB_PASSWORD.read())
    urls = [("COUCHDB_URL", settings.COUCHDB_URL)] if has_password else []
    for variable, each in [*urls, *(("COUCHDB_PEERS", u) for u in settings.COUCHDB_PEERS.values())]:
        url = urlsplit(each)
        if url.scheme == "http" and not _is_near(url.hostname or ""):
            yield Warning(
                f"{variable}: the password is sent to {url.hostname} over plain http",
                hint="Give an https URL, or a host in a private network.",
                id=PLAIN_HTTP,
            )
    if not has_password:
        yield Warning(
            "COUCHDB_PASSWORD: not given; CouchDB 3 requires one",
            hint="Give COUCHDB_PASSWORD or COUCHDB_PASSWORD_FILE.",
            id=NO_PASSWORD,
        )
    if settings.COUCHDB_CLUSTER_NODES > 1 and settings.OVERMIND_HEAL_GRACE < 1:
        yield Warning(
            "OVERMIND_HEAL_GRACE: a node that was down may bring deleted zerglings back",
            hint="Give more days than a node of the cluster may be down.",
            id=SHORT_GRACE,
        )


def _unused_couchdb() -> Iterator[Warning]:
    if settings.COUCHDB_URL:
        yield Warning(
            "OVERMIND_STORE: sqlite, although COUCHDB_URL or COUCHDB_SERVICE_HOST is given",
            hint="Unset OVERMIND_STORE to use CouchDB, or the others to use the embedded store.",
            id=UNUSED_COUCHDB,
        )


def _is_near(host: str) -> bool:
    """Return whether a host is this machine, in a private network or in the same cluster."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host.rstrip(".") or host.rstrip(".").endswith(CLUSTER_SUFFIXES)


def _embedded_file() -> Iterator[Warning]:
    """Check the file, or the directory in which `bootstrap_couch` creates it."""
    if settings.OVERMIND_STORE != "sqlite":
        return
    path: Path = settings.OVERMIND_SQLITE_PATH
    # The directory must be writable too, because SQLite creates more files beside the database.
    # os.path.exists returns False if a parent directory denies access; Path.exists may raise.
    directory = next(parent for parent in path.parents if os.path.exists(parent))
    paths = [directory, path] if os.path.exists(path) else [directory]
    is_file = directory.is_dir() and not path.is_dir()
    if not is_file or not all(os.access(each, os.W_OK) for each in paths):
        yield Warning(
            f"OVERMIND_SQLITE_PATH: this process cannot write to {path}",
            hint="Name a file in a directory that belongs to the service's user.",
            id=UNWRITABLE_FILE,
        )


def _secret_files() -> Iterator[Warning]:
    seen: set[Path] = set()
    for secret in (
        settings.COUCHDB_PASSWORD,
        settings.COUCHDB_ADMIN_PASSWORD,
        settings.COUCHDB_PEERS_PASSWORD,
    ):
        path = secret.path
        if path is None or path in seen or str(path.absolute()).startswith(MOUNTED_SECRETS):
            continue
        seen.add(path)
        if path.stat().st_mode & stat.S_IROTH:
            yield Warning(
                f"{secret.name}_FILE: every user of this machine can read {path}",
                hint=f"chmod o= {path}",
                id=OPEN_FILE,
            )
