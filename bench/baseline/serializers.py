"""The serializers of the baseline."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class LocationSerializer(serializers.Serializer[dict[str, Any]]):
    """A place on the grid."""

    x = serializers.IntegerField()
    y = serializers.IntegerField()


class ZerglingSerializer(serializers.Serializer[dict[str, Any]]):
    """A zergling."""

    id = serializers.CharField()
    location = LocationSerializer()
    facing = serializers.ChoiceField(["N", "E", "S", "W"])
    commandHistory = serializers.ListField(child=serializers.CharField())  # noqa: N815 - the name in the API
