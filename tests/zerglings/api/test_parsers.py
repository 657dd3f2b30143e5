"""Tests for the parser of multipart forms, which replaces the framework's."""

from __future__ import annotations

import codecs
import io
import uuid

import pytest
from django.test import RequestFactory
from rest_framework.exceptions import ParseError

from zerglings.api.parsers import BODY, MAX_FIELDS, Body, MultipartBodyParser

CONTENT_TYPE = "multipart/form-data; boundary=b"


def part(name: str, value: str, extra: str = "") -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{value}\r\n'


def parsed(*parts: str) -> Body:
    raw = "".join(parts).encode() + b"--b--\r\n"
    request = RequestFactory().post("/", raw, CONTENT_TYPE)
    return MultipartBodyParser().parse(io.BytesIO(raw), None, {"request": request})[BODY]


def test_the_fields_of_a_form_are_parsed() -> None:
    typed = "\r\nContent-Type: text/plain; charset=UTF-8"
    found = parsed(part("location.x", "3", typed), part("facing", "N"))
    assert found.fields == {"location.x": "3", "facing": "N"}


@pytest.mark.parametrize("name", ["nope", "idna", "hex"])
@pytest.mark.parametrize(
    "extra",
    ["; a*={name}''%41", "; a*0*={name}''%41", "; a *\t= \"{name}''%41\"", "\r\nA: b; a*={name}''"],
)
def test_codecs_named_in_part_headers_are_not_looked_up(name: str, extra: str) -> None:
    name = f"{name}-{uuid.uuid4().hex}"
    looked_up: list[str] = []
    codecs.register(looked_up.append)
    try:
        with pytest.raises(ParseError, match="asterisk"):
            parsed(part("facing", "N", extra.format(name=name)))
    finally:
        codecs.unregister(looked_up.append)
    assert not looked_up


def test_the_number_of_form_fields_is_limited() -> None:
    fields = [part(f"f{number}", "1") for number in range(MAX_FIELDS + 1)]
    assert len(parsed(*fields[:-1]).fields or ()) == MAX_FIELDS
    with pytest.raises(ParseError, match="too many fields"):
        parsed(*fields)
