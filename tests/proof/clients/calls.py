"""Calls the service with the client of openapi-python-client, and prints each answer.

It runs beside the generated package ``overmind_client``. ``transcript.py`` has what it must print.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

from overmind_client import AuthenticatedClient
from overmind_client.api.service import (
    get_health,
    get_liveness,
    get_metrics,
    get_openapi,
    get_readiness,
    get_regions,
    list_entry_points,
    show_docs,
    show_sign_in,
    sign_in,
    sign_out,
)
from overmind_client.api.swarm import command_swarm, spawn_swarm
from overmind_client.api.zerglings import (
    command_zergling,
    delete_zergling,
    get_history,
    get_zergling,
    list_zerglings,
    spawn_zergling,
)
from overmind_client.models import (
    Command,
    CommandRequest,
    Facing,
    Location,
    SignInForm,
    SpawnRequest,
    SwarmCommand,
    SwarmCommandsRequest,
    SwarmSpawnRequest,
)

NOBODY = "00000000-0000-4000-8000-000000000000"
STALE = '"1-5f0a"'

token = os.environ["OVERMIND_TOKEN"]  # which a service without tokens ignores
client = AuthenticatedClient(base_url="http://localhost:8080", token=token)


def show(step: str, answer: Any, body: Any = None) -> Any:
    parsed = answer.parsed
    if body is None:
        body = parsed.to_dict() if hasattr(parsed, "to_dict") else parsed
    print(json.dumps([step, int(answer.status_code), body]))  # noqa: T201 - for the test
    return answer


def following(answer: Any, name: str) -> str | None:
    """Return a parameter of the link to the next page."""
    link = answer.headers.get("Link")
    return parse_qs(urlsplit(link[1:].partition(">")[0]).query)[name][0] if link else None


# The calls of the original's transcript
show("none yet", list_zerglings.sync_detailed(client=client))
ids = [
    show("spawned", spawn_zergling.sync_detailed(client=client)).parsed.zergling.id
    for _ in range(3)
]
show("all three", list_zerglings.sync_detailed(client=client))
first, second, third = ids
show("stepped", command_zergling.sync_detailed(second, client=client, body="M"))
show("turned", command_zergling.sync_detailed(second, client=client, body="L"))
again = CommandRequest(command="M")
show("stepped again", command_zergling.sync_detailed(second, client=client, body=again))

# Conditional requests
tag = show("shown", get_zergling.sync_detailed(second, client=client)).headers["ETag"]
show("not modified", get_zergling.sync_detailed(second, client=client, if_none_match=tag))
show("stale", command_zergling.sync_detailed(second, client=client, body="L", if_match=STALE))
show("current", command_zergling.sync_detailed(second, client=client, body="L", if_match=tag))
show("kept", delete_zergling.sync_detailed(third, client=client, if_match=STALE))
show("deleted", delete_zergling.sync_detailed(third, client=client))
show("gone", get_zergling.sync_detailed(third, client=client))

# Idempotency keys
place = SpawnRequest(location=Location(x=3, y=-4), facing=Facing.E)
for _ in range(2):
    spawned = spawn_zergling.sync_detailed(client=client, body=place, idempotency_key="spawn-1")
    show("spawned once", spawned)
for _ in range(2):
    letters = [Command.M, Command.R]
    moved = command_zergling.sync_detailed(
        first, client=client, body=letters, idempotency_key="step-1"
    )
    show("moved once", moved)
reused = command_zergling.sync_detailed(first, client=client, body="L", idempotency_key="step-1")
show("key reused", reused)

# Histories and lists, page by page
show("history", get_history.sync_detailed(second, client=client))
offset: str | None = "0"
while offset is not None:
    page = get_history.sync_detailed(second, client=client, offset=int(offset), limit=3)
    offset = following(show("page of the history", page), "offset")
page = list_zerglings.sync_detailed(client=client, limit=2)
while after := following(page, "after"):
    show("page of the list", page, len(page.parsed.zerglings))
    page = list_zerglings.sync_detailed(client=client, limit=2, after=after)
show("page of the list", page, len(page.parsed.zerglings))

# Many at once
swarm = SwarmSpawnRequest(count=2, location=Location(x=5, y=5), facing=Facing.S)
show("swarm spawned", spawn_swarm.sync_detailed(client=client, body=swarm))
orders = [SwarmCommand(id=first, command="MMR"), SwarmCommand(id=NOBODY, command="M")]
commanded = command_swarm.sync_detailed(client=client, body=SwarmCommandsRequest(orders))
show("swarm commanded", commanded)

# Errors
show("wrong command", command_zergling.sync_detailed(first, client=client, body="X"))
show("nobody", get_zergling.sync_detailed(NOBODY, client=client))
show("page too large", get_history.sync_detailed(first, client=client, limit=1001))

# The service itself
show("entry points", list_entry_points.sync_detailed(client=client))
document = get_openapi.sync_detailed(client=client)
show("document", document, document.parsed.openapi)
show("regions", get_regions.sync_detailed(client=client))
show("health", get_health.sync_detailed(client=client))
show("alive", get_liveness.sync_detailed(client=client))
show("ready", get_readiness.sync_detailed(client=client))
show("metrics", get_metrics.sync_detailed(client=client), "text")
show("docs", show_docs.sync_detailed(client=client), "text")
show("sign-in page", show_sign_in.sync_detailed(client=client), "text")
show("sign-in", sign_in.sync_detailed(client=client, body=SignInForm(token="x")))
show("sign-out", sign_out.sync_detailed(client=client))
