"""Values to domain objects: what a spawn and a command may hold, said field by field.

These also give the browsable API its forms. What leaves the service is shaped in ``renderers``.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from zerglings.zergling import COORDINATE_LIMIT, FACINGS, Pose, Request, RuleError


class CoordinateField(serializers.IntegerField):
    """A whole number of grid steps. JSON's ``true``, ``1.0`` and ``"1"`` are none."""

    def to_internal_value(self, data: Any) -> int:  # noqa: ANN401 - whatever was sent
        """Return the number if it is one and on the grid."""
        if type(data) is not int or abs(data) > COORDINATE_LIMIT:
            raise serializers.ValidationError(
                f"must be an integer from -{COORDINATE_LIMIT} to {COORDINATE_LIMIT}"
            )
        return data


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses fields it does not know, so that no typing error goes unnoticed."""

    def to_internal_value(self, data: Any) -> Any:  # noqa: ANN401 - whatever was sent
        """Validate an object that has none but the declared fields."""
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            known = ", ".join(self.fields)
            complaint = f"{unknown[0][:50]!r} is not known here; known are {known}"
            raise serializers.ValidationError({"non_field_errors": [complaint]})
        return super().to_internal_value(data)


class LocationSerializer(StrictSerializer):
    """A place on the grid."""

    x = CoordinateField(initial=0, help_text="Grid steps to the east.")
    y = CoordinateField(initial=0, help_text="Grid steps to the north.")


class SpawnSerializer(StrictSerializer):
    """Where a new zergling stands and which way it faces."""

    location = LocationSerializer(required=False)
    facing = serializers.ChoiceField(FACINGS, required=False, initial="N")

    def pose(self) -> Pose:
        """Return the validated place; what was not given is the origin, facing north."""
        wanted = self.validated_data
        return Pose(**wanted.get("location", {}), facing=wanted.get("facing", "N"))


class CommandsField(serializers.CharField):
    """A word of commands, ``"MMR"``, or a list of single ones, ``["M", "M", "R"]``."""

    def to_internal_value(self, data: Any) -> Any:  # noqa: ANN401 - whatever was sent
        """Return the request that the commands make."""
        is_list = isinstance(data, list) and all(isinstance(item, str) for item in data)
        if not is_list and not isinstance(data, str):
            raise serializers.ValidationError("must be a string or a list of strings of L, R and M")
        try:
            return Request.command(data)
        except RuleError as error:
            raise serializers.ValidationError(str(error)) from error


class CommandSerializer(StrictSerializer):
    """One command or up to 1000, applied together or not at all."""

    command = CommandsField(initial="M", help_text="L turns left, R turns right, M moves one step.")
