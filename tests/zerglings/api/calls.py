"""Requests to the viewset through Django's test client."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.test import Client

FORM = "application/x-www-form-urlencoded"  # curl's default
JSON = "application/json"
BYTES = "application/octet-stream"  # of aiohttp for bytes
UNKNOWN_ID = str(uuid.uuid4())


def spawn(api: Client, body: Any = None) -> str:
    reply = api.post("/zerglings/", data=json.dumps(body or {}), content_type=JSON)
    assert reply.status_code == 201, reply.content
    zergling_id: str = reply.json()["zergling"]["id"]
    return zergling_id


def command(
    api: Client, zergling_id: str, body: str | bytes, content_type: str = FORM, **headers: str
) -> Any:
    url = f"/zerglings/{zergling_id}"
    return api.post(url, data=body, content_type=content_type, headers=headers)


def keyed(api: Client, path: str, key: str, body: str = "M") -> Any:
    return api.post(path, data=body, content_type=FORM, headers={"Idempotency-Key": key})
