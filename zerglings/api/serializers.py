"""Validates the values of a request body and turns them into domain objects.

The serializers also define the browsable API's forms. Responses are built in ``renderers``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

from rest_framework import serializers

from zerglings.domain.pose import FACINGS, Pose
from zerglings.domain.zergling import (
    COORDINATE_LIMIT,
    WORDS_REMEMBERED,
    CommandRequest,
    InvalidCommand,
    RuleError,
)
from zerglings.hive.bulk import LIMIT, Item, item_key


class WholeNumberField(serializers.IntegerField):
    """An integer as in JSON Schema: ``1.0`` is valid, ``true`` and ``"1"`` are not."""

    def __init__(self, minimum: int, maximum: int, **kwargs: Any) -> None:
        super().__init__(min_value=minimum, max_value=maximum, **kwargs)
        self._minimum, self._maximum = minimum, maximum

    def to_internal_value(self, data: Any) -> int:  # noqa: ANN401 - any JSON
        """Return the integer if it is within the bounds."""
        is_whole = type(data) is int or (type(data) is float and data.is_integer())
        if not is_whole or not self._minimum <= data <= self._maximum:
            raise serializers.ValidationError(
                f"must be an integer from {self._minimum} to {self._maximum}"
            )
        return int(data)


class CoordinateField(WholeNumberField):
    """A coordinate: grid steps from the origin."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(-COORDINATE_LIMIT, COORDINATE_LIMIT, **kwargs)


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that rejects unknown fields, so that misspelt names are noticed."""

    def to_internal_value(self, data: Any) -> Any:  # noqa: ANN401 - any JSON
        """Validate an object with the declared fields only."""
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            known = ", ".join(self.fields)
            message = f"{unknown[0][:50]!r} is not known here; known are {known}"
            raise serializers.ValidationError({"non_field_errors": [message]})
        return super().to_internal_value(data)

    @classmethod
    def validated(cls, fields: object) -> dict[str, Any]:
        """Return the validated fields of an object.

        Raises:
            ValidationError: ``fields`` is not an object, or has an invalid field.
        """
        serializer = cls(data=fields)
        serializer.is_valid(raise_exception=True)
        validated: dict[str, Any] = serializer.validated_data
        return validated


class LocationSerializer(StrictSerializer):
    """A location on the grid."""

    x = CoordinateField(initial=3, help_text="Grid steps to the east.")
    y = CoordinateField(initial=-4, help_text="Grid steps to the north.")


class SpawnSerializer(StrictSerializer):
    """Location and facing of a new zergling."""

    location = LocationSerializer(required=False)
    facing = serializers.ChoiceField(FACINGS, required=False, initial="E")

    @classmethod
    def parse_pose(cls, fields: object) -> Pose:
        """Return the pose in a body; the defaults are the origin and north.

        Raises:
            ValidationError: a field is unknown or invalid.
        """
        if not fields and isinstance(fields, dict):
            return Pose()
        return _pose(cls.validated(fields))


class SwarmSpawnSerializer(SpawnSerializer):
    """Number, location and facing of new zerglings."""

    count = WholeNumberField(1, LIMIT, initial=10)

    @classmethod
    def parse_count_and_pose(cls, fields: object) -> tuple[int, Pose]:
        """Return the count and the pose in a body.

        Raises:
            ValidationError: the count is missing, or a field is unknown or invalid.
        """
        validated = cls.validated(fields)
        return validated["count"], _pose(validated)


_EXAMPLE_ITEM = {"id": "5fb0c9f4-8a3c-4a5e-9d5e-3f6f0e8d7c21", "command": "MMRM"}


class ItemsField(serializers.ListField):
    """A list whose length is checked before its items: a body can hold a million of them."""

    def to_internal_value(self, data: Any) -> list[Any]:  # noqa: ANN401 - any JSON
        """Return the items if there are at most ``LIMIT``."""
        if isinstance(data, list) and len(data) > LIMIT:
            raise serializers.ValidationError(
                f"Ensure this field has no more than {LIMIT} elements."
            )
        items: list[Any] = super().to_internal_value(data)
        return items


class SwarmCommandsSerializer(StrictSerializer):
    """Commands for many zerglings. The items are validated one by one, in ``_item``."""

    commands = ItemsField(min_length=1, initial=[_EXAMPLE_ITEM])


class CommandSerializer(serializers.Serializer[Any]):
    """Defines the browsable API's form of a command; ``parse_commands`` validates commands."""

    command = serializers.CharField(
        initial="MMRM",
        help_text="L turns left, R turns right, M moves one step; several are done together.",
    )

    def validate_command(self, command: str) -> str:
        """Return the command if it is valid; the form shows the error otherwise."""
        try:
            parse_commands(command)
        except RuleError as error:
            raise serializers.ValidationError(str(error)) from error
        return command


def parse_commands(commands: object, key: str | None = None) -> CommandRequest:
    """Return the command request in a string, ``"MMR"``, or a list, ``["M", "M", "R"]``.

    This is a function, because a DRF serializer would take longer than the rest of a command.

    Raises:
        RuleError: the value is neither string nor list, has other letters, or is too long.
    """
    is_list = isinstance(commands, list) and all(isinstance(item, str) for item in commands)
    if not is_list and not isinstance(commands, str):
        raise InvalidCommand("The command must be a string or a list of strings of L, R and M.")
    return CommandRequest.command(cast("str | list[str]", commands), key)


def parse_bulk_commands(fields: object, key: str | None) -> list[Item]:
    """Return the items of a bulk request; an invalid item becomes its error.

    Args:
        fields: the parsed body.
        key: the request's idempotency key. Each item gets its own key, derived from it.

    Raises:
        ValidationError: there are no items, or too many.
    """
    commands = SwarmCommandsSerializer.validated(fields)["commands"]
    items = [_item(command, item_key(key, n)) for n, command in enumerate(commands)]
    if key is not None:
        _check_keys_are_remembered(items)
    return items


def _check_keys_are_remembered(items: Iterable[Item]) -> None:
    """Reject a bulk request that could not be repeated safely.

    A zergling remembers the keys of its newest ``WORDS_REMEMBERED`` commands only.
    """
    words: Counter[str] = Counter()
    for item in items:
        if not isinstance(item, Exception):
            words[item[0]] += len(item[1].words)
    if any(count > WORDS_REMEMBERED for count in words.values()):
        raise serializers.ValidationError(
            f"with an Idempotency-Key, send at most {WORDS_REMEMBERED} commands to one zergling"
        )


def _item(item: object, key: str | None) -> Item:
    if not isinstance(item, dict) or set(item) != {"id", "command"}:
        return InvalidCommand('An item must be an object of "id" and "command".')
    if not isinstance(item["id"], str):
        return InvalidCommand("The id must be a string.")
    try:
        return item["id"], parse_commands(item["command"], key)
    except RuleError as error:
        return error


def _pose(validated: Mapping[str, Any]) -> Pose:
    return Pose(**validated.get("location", {}), facing=validated.get("facing", "N"))
