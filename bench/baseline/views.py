"""The views of the baseline: read, change and save the document, and retry after a conflict."""

from __future__ import annotations

import uuid
from typing import Any

from pycouchdb.client import Server
from pycouchdb.exceptions import Conflict, NotFound
from rest_framework import status
from rest_framework.exceptions import NotFound as NoSuchZergling
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from bench.baseline.serializers import ZerglingSerializer
from bench.baseline.settings import COUCHDB_DATABASE, COUCHDB_URL

FACINGS = "NESW"
STEPS = {"N": (0, 1), "E": (1, 0), "S": (0, -1), "W": (-1, 0)}

server = Server(COUCHDB_URL)


class ZerglingViewSet(ViewSet):
    """Zerglings: spawn, read and move."""

    def create(self, request: Request) -> Response:
        """Spawn a zergling."""
        zergling_id = str(uuid.uuid4())
        zergling = {
            "_id": zergling_id,
            "id": zergling_id,
            "location": {"x": 0, "y": 0},
            "facing": "N",
            "commandHistory": [],
        }
        saved = server.database(COUCHDB_DATABASE).save(zergling)
        return Response({"zergling": ZerglingSerializer(saved).data}, status.HTTP_201_CREATED)

    def retrieve(self, request: Request, pk: str) -> Response:
        """Read a zergling."""
        zergling = _get(server.database(COUCHDB_DATABASE), pk)
        return Response({"zergling": ZerglingSerializer(zergling).data})

    def command(self, request: Request, pk: str) -> Response:
        """Command a zergling."""
        word: Any = request.data
        if word not in ("L", "R", "M"):
            raise ValidationError({"error": "send L, R or M"})
        database = server.database(COUCHDB_DATABASE)
        while True:
            zergling = _get(database, pk)
            _apply(zergling, word)
            try:
                saved = database.save(zergling)
            except Conflict:
                continue
            return Response({"zergling": ZerglingSerializer(saved).data})


def _get(database: Any, zergling_id: str) -> dict[str, Any]:  # noqa: ANN401 - pycouchdb is untyped
    try:
        zergling: dict[str, Any] = database.get(zergling_id)
    except NotFound as error:
        raise NoSuchZergling from error
    return zergling


def _apply(zergling: dict[str, Any], command: str) -> None:
    zergling["commandHistory"].append(command)
    facing = zergling["facing"]
    if command == "M":
        x, y = STEPS[facing]
        zergling["location"]["x"] += x
        zergling["location"]["y"] += y
    else:
        turn = 1 if command == "R" else -1
        zergling["facing"] = FACINGS[(FACINGS.index(facing) + turn) % len(FACINGS)]
