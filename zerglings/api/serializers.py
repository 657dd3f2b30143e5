"""Values to domain objects: what a spawn and a command may hold, said field by field.

These also give the browsable API its forms. What leaves the service is shaped in ``renderers``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

from rest_framework import serializers

from zerglings.domain.zergling import (
    COORDINATE_LIMIT,
    FACINGS,
    CommandRequest,
    InvalidCommand,
    Pose,
    RuleError,
)
from zerglings.hive.bulk import LIMIT, Item, item_key
from zerglings.repository.archive import WORDS_REMEMBERED


class WholeNumberField(serializers.IntegerField):
    """A whole number, as JSON Schema has it: ``1.0`` is one. ``true`` and ``"1"`` are none."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(min_value=least, max_value=most, **kwargs)
        self._least, self._most = least, most

    def to_internal_value(self, data: Any) -> int:  # noqa: ANN401 - whatever was sent
        """Return the number if it is one and within its bounds."""
        is_whole = type(data) is int or (type(data) is float and data.is_integer())
        if not is_whole or not self._least <= data <= self._most:
            raise serializers.ValidationError(
                f"must be an integer from {self._least} to {self._most}"
            )
        return int(data)


class CoordinateField(WholeNumberField):
    """Grid steps from the origin."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(-COORDINATE_LIMIT, COORDINATE_LIMIT, **kwargs)


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

    @classmethod
    def validated(cls, fields: object) -> dict[str, Any]:
        """Return the fields of an object.

        Raises:
            ValidationError: it is none, or they are not as they must be.
        """
        serializer = cls(data=fields)
        serializer.is_valid(raise_exception=True)
        wanted: dict[str, Any] = serializer.validated_data
        return wanted


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
        return _pose(cls.validated(fields))


class SwarmSpawnSerializer(SpawnSerializer):
    """How many zerglings to spawn, and where."""

    count = WholeNumberField(1, LIMIT, initial=10)

    @classmethod
    def swarm_of(cls, fields: object) -> tuple[int, Pose]:
        """Return how many a body asks for, and where they are to stand.

        Raises:
            ValidationError: it does not say that.
        """
        wanted = cls.validated(fields)
        return wanted["count"], _pose(wanted)


_ORDER = {"id": "5fb0c9f4-8a3c-4a5e-9d5e-3f6f0e8d7c21", "command": "MMRM"}


class ItemsField(serializers.ListField):
    """A list of anything, counted before it is looked at: a body has room for a million items."""

    def to_internal_value(self, data: Any) -> list[Any]:  # noqa: ANN401 - whatever was sent
        """Return the items if they are not too many."""
        if isinstance(data, list) and len(data) > LIMIT:
            raise serializers.ValidationError(
                f"Ensure this field has no more than {LIMIT} elements."
            )
        items: list[Any] = super().to_internal_value(data)
        return items


class SwarmCommandsSerializer(StrictSerializer):
    """Commands for many zerglings."""

    commands = ItemsField(min_length=1, initial=[_ORDER])


class CommandSerializer(serializers.Serializer[Any]):
    """The form of a command; ``request_of`` says what it may hold."""

    command = serializers.CharField(
        initial="MMRM",
        help_text="L turns left, R turns right, M moves one step; several are done together.",
    )


def request_of(commands: object, key: str | None = None) -> CommandRequest:
    """Return the request that a word of commands makes, ``"MMR"``, or a list of single ones.

    A function, because a serializer costs more than all the rest of a command.

    Raises:
        RuleError: it is neither, or not a request.
    """
    is_list = isinstance(commands, list) and all(isinstance(item, str) for item in commands)
    if not is_list and not isinstance(commands, str):
        raise InvalidCommand("The command must be a string or a list of strings of L, R and M.")
    return CommandRequest.command(cast("str | list[str]", commands), key)


def items_of(fields: object, key: str | None) -> list[Item]:
    """Return the items of a whole-swarm call; what is wrong with one of them is the item.

    Raises:
        ValidationError: there are none, or too many.
    """
    orders = SwarmCommandsSerializer.validated(fields)["commands"]
    items = [_item(order, item_key(key, number)) for number, order in enumerate(orders)]
    if key is not None:
        _check_that_keys_last(items)
    return items


def _check_that_keys_last(items: Iterable[Item]) -> None:
    """Refuse a call that could not be repeated: a zergling forgets keys of older commands."""
    words: Counter[str] = Counter()
    for item in items:
        if not isinstance(item, Exception):
            words[item[0]] += len(item[1].words)
    if any(count > WORDS_REMEMBERED for count in words.values()):
        raise serializers.ValidationError(
            f"under an Idempotency-Key at most {WORDS_REMEMBERED} commands for one zergling"
        )


def _item(order: object, key: str | None) -> Item:
    if not isinstance(order, dict) or set(order) != {"id", "command"}:
        return InvalidCommand('An item must be an object of "id" and "command".')
    if not isinstance(order["id"], str):
        return InvalidCommand("The id must be a string.")
    try:
        return order["id"], request_of(order["command"], key)
    except RuleError as error:
        return error


def _pose(wanted: Mapping[str, Any]) -> Pose:
    return Pose(**wanted.get("location", {}), facing=wanted.get("facing", "N"))
