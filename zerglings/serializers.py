"""Values to domain objects: what a spawn and a command may hold, said field by field.

These also give the browsable API its forms. What leaves the service is shaped in ``renderers``.
"""

from __future__ import annotations

from typing import Any, cast

from rest_framework import serializers

from zerglings.zergling import COORDINATE_LIMIT, FACINGS, InvalidCommand, Pose, Request


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

    x = CoordinateField(initial=3, help_text="Grid steps to the east.")
    y = CoordinateField(initial=-4, help_text="Grid steps to the north.")


class SpawnSerializer(StrictSerializer):
    """Where a new zergling stands and which way it faces."""

    location = LocationSerializer(required=False)
    facing = serializers.ChoiceField(FACINGS, required=False, initial="E")

    @classmethod
    def pose_of(cls, fields: object) -> Pose:
        """Return the place that a body asks for; what it does not give is the origin, facing north.

        Raises:
            ValidationError: it asks for something else.
        """
        if not fields and isinstance(fields, dict):
            return Pose()
        serializer = cls(data=fields)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        return Pose(**wanted.get("location", {}), facing=wanted.get("facing", "N"))


class CommandSerializer(serializers.Serializer[Any]):
    """The form of a command; ``request_of`` says what it may hold."""

    command = serializers.CharField(
        initial="MMRM",
        help_text="L turns left, R turns right, M moves one step; several are done together.",
    )


def request_of(commands: object, key: str | None = None) -> Request:
    """Return the request that a word of commands makes, ``"MMR"``, or a list of single ones.

    A function, because a serializer costs more than all the rest of a command.

    Raises:
        RuleError: it is neither, or not a request.
    """
    is_list = isinstance(commands, list) and all(isinstance(item, str) for item in commands)
    if not is_list and not isinstance(commands, str):
        raise InvalidCommand("The command must be a string or a list of strings of L, R and M.")
    return Request.command(cast("str | list[str]", commands), key)
