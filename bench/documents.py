"""Documents to fill databases with: zerglings in the service's form and the original service's."""

from __future__ import annotations

import base64
import secrets
import uuid
from typing import Any

from zerglings.domain.pose import Pose, replay

Document = dict[str, Any]

COMMANDS = 50
"""Commands in the history of each zergling under load."""

ORIGINAL_FIELDS = ("_id", "id", "location", "facing", "commandHistory")
WALK = ("M", "R", "M", "L")


def random_id() -> str:
    """Return a random request id of 64 bits, as the service generates it."""
    return base64.urlsafe_b64encode(secrets.token_bytes(8)).rstrip(b"=").decode()


def zergling(commands: int = COMMANDS, zergling_id: str | None = None) -> Document:
    """Return the document of a zergling that has carried out ``commands``, one per request."""
    history = [WALK[number % len(WALK)] for number in range(commands)]
    zergling_id = zergling_id or str(uuid.uuid4())
    return {
        "_id": zergling_id,
        "id": zergling_id,
        **_placed(replay(Pose(), history)),
        "commandHistory": history,
        "commandIds": [random_id() for _ in history],
        "spawn": _placed(Pose()),
        "base": {**_placed(Pose()), "count": 0, "chunk": None},
    }


def without_extra_fields(document: Document) -> Document:
    """Return a zergling's document in the form of the original service."""
    return {field: document[field] for field in ORIGINAL_FIELDS}


def _placed(pose: Pose) -> Document:
    return {"location": {"x": pose.x, "y": pose.y}, "facing": pose.facing}
