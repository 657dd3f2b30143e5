"""The cost of authentication: ``python -m bench.access``.

Measures the processor time of the authentication middleware alone. Other programs on the machine
influence processor time little.
"""

from __future__ import annotations

import os
import sys
import time
import timeit
from collections.abc import Callable

SIZES = (1, 10, 100)
"""Numbers of configured tokens."""

SHOWN: tuple[dict[str, str], ...] = (
    {"Authorization": "Bearer token-0"},
    {"Cookie": "overmind-token=token-0"},
    {},
)
CALLS = 2000
REPEATS = 7

os.environ |= {"DJANGO_SETTINGS_MODULE": "overmind_project.settings", "OVERMIND_STORE": "sqlite"}


def main() -> None:
    """Print microseconds per request, by kind of credentials and number of configured tokens."""
    import django

    from overmind_project.auth.tokens import line_of

    django.setup()
    sys.stdout.write("tokens  header  cookie  refused   (microseconds a request)\n")
    for size in SIZES:
        lines = ",".join(line_of(f"caller-{n}", "read", f"token-{n}") for n in range(size))
        costs = [f"{_cost(lines, headers):8.1f}" for headers in SHOWN]
        sys.stdout.write(f"{size:6}{''.join(costs)}\n")


def _cost(lines: str, headers: dict[str, str]) -> float:
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse
    from django.test import RequestFactory

    from overmind_project.auth.access import configured_tokens
    from overmind_project.middleware.authentication import Authentication
    from zerglings.secret import Secret

    settings.OVERMIND_TOKENS = Secret("OVERMIND_TOKENS", lines)
    configured_tokens.cache_clear()

    def answer(_: HttpRequest) -> HttpResponse:
        return HttpResponse(b"{}", content_type="application/json")

    guard = Authentication(answer)
    request = RequestFactory().get("/zerglings/", headers=headers)
    return _time(lambda: guard(request)) - _time(lambda: answer(request))


def _time(call: Callable[[], object]) -> float:
    """Return the microseconds per call, in the fastest of ``REPEATS`` runs."""
    seconds = timeit.repeat(call, timer=time.process_time, number=CALLS, repeat=REPEATS)
    return min(seconds) / CALLS * 1e6


if __name__ == "__main__":
    main()
