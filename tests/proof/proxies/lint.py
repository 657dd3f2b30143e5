"""Runs REDbot on requests and prints its notes about the responses.

``build/redbot/bin/python tests/proof/proxies/lint.py`` takes a list of requests as JSON on its
standard input and gives a list of lists of notes. It runs in an environment of its own, so it
imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
from configparser import ConfigParser
from typing import Any

# Installed apart from the rest: see requirements-redbot.in.
import thor  # type: ignore[import-not-found]
from redbot.resource import HttpResource  # type: ignore[import-not-found]

ENDLESS = "text/event-stream"
"""Endless responses, of which REDbot gets only the head."""


def look(requests: list[dict[str, Any]], found: list[list[dict[str, Any]]]) -> None:
    """Send the first request that nothing was found of yet, and then the others; REDbot adds some.

    Raises:
        RuntimeError: there was no answer.
    """
    if len(found) == len(requests):
        thor.stop()
        return
    request = requests[len(found)]
    config = ConfigParser()
    config.read_dict({"redbot": {"enable_local_access": "True"}})
    resource = HttpResource(config["redbot"])
    resource.set_request(
        request["url"], request["method"], request["headers"], request["body"].encode()
    )

    def stop_what_is_endless() -> None:
        if resource.response.headers.parsed.get("content-type", [""])[0] == ENDLESS:
            resource.response.finish_content(False)
            resource.stop()

    def go_on() -> None:
        added = resource.subreqs.values()
        if resource.response.complete and not all(each.check_done for each in added):
            return  # it says so as well when one that it did not have to send is done
        found.append(_notes(resource))
        look(requests, found)

    resource.on("response_headers_available", stop_what_is_endless)
    resource.on("check_done", go_on)
    resource.check()


def _notes(resource: HttpResource) -> list[dict[str, Any]]:
    """Return the status and REDbot's notes."""
    if resource.fetch_error is not None:
        raise RuntimeError(f"{resource.request.uri}: {resource.fetch_error.desc}")
    status = resource.response.status_code
    told = {"name": "status", "level": "", "category": "", "says": status}
    return [told, *map(_told, resource.response.notes)]


def _told(note: Any) -> dict[str, Any]:
    return {
        "name": type(note).__name__,
        "level": note.level.value,
        "category": note.category.name,
        "says": f"{note.subject}: {note.summary}",
    }


if __name__ == "__main__":
    everything: list[list[dict[str, Any]]] = []
    thor.schedule(0, look, json.load(sys.stdin), everything)
    thor.run()
    json.dump(everything, sys.stdout)
