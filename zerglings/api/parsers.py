"""Parses request bodies into plain values, whatever format they were sent in.

The original's clients send JSON under curl's default form content type. So the content decides the
format, not the content type. The serializers validate the values.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import parse_qsl

import orjson
from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParser as DjangoMultiPartParser
from django.http.multipartparser import MultiPartParserError
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from zerglings.api.renderers import CompactJSONRenderer

CSRF_FIELD = "csrfmiddlewaretoken"
"""The hidden field that Django adds to every HTML form."""

_NUMERIC_FIELDS = ("count",)
_INTEGER = re.compile(r"(-?[0-9]{1,17})(?:\.0{1,17})?")

MAX_FIELDS = 16
"""Maximum number of fields in a multipart form. No valid form has as many."""

_BAD_FORM = "The multipart form is malformed or has too many fields."
_ASTERISK = "A multipart form must not contain an asterisk, neither in fields nor in part headers."

_OBJECT_START = re.compile(rb"[\s\x00'\"\\\xef\xbb\xbf\xfe\xff]*(?:\{|%7[Bb])")
"""The start of a body that is meant as a JSON object, even if it was mangled.

Typical damage: quotes left by a shell, a byte order mark, UTF-16, and braces that
``curl --data-urlencode`` has encoded.
"""

BODY = "body"
"""The only key of ``request.data``, which DRF requires to be a mapping."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request body: its bytes, or the fields of a multipart form.

    ``is_json`` is true if the content type is JSON.
    """

    raw: bytes = b""
    fields: dict[str, str] | None = None
    is_json: bool = False

    @classmethod
    def of(cls, request: Request) -> Body:
        """Return a request's parsed body; DRF calls no parser for an empty one."""
        data = request.data
        body = data.get(BODY) if isinstance(data, dict) else None
        return body if isinstance(body, cls) else cls()


class _RawBodyParser(BaseParser):
    """Keeps the bytes of a body: its content decides the format later."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Body]:
        """Return the bytes unchanged."""
        return {BODY: Body(raw=stream.read(), is_json=self.media_type == "application/json")}


class JSONBodyParser(_RawBodyParser):
    """Bodies with a JSON content type."""

    media_type = "application/json"
    renderer_class = CompactJSONRenderer  # renders the example in the browsable API's raw form


class FormBodyParser(_RawBodyParser):
    """Forms, and whatever curl sends without a ``Content-Type`` option."""

    media_type = "application/x-www-form-urlencoded"


class TextBodyParser(_RawBodyParser):
    """Plain text, which HTML forms can send too."""

    media_type = "text/plain"


class BinaryBodyParser(_RawBodyParser):
    """Untyped bytes: the default content type of some HTTP libraries."""

    media_type = "application/octet-stream"


class MultipartBodyParser(BaseParser):
    """Multipart forms, from ``curl -F`` or the browsable API."""

    media_type = "multipart/form-data"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Body]:
        """Return the form's fields.

        Raises:
            ParseError: the form is malformed, repeats a field or has a file.
        """
        meta = parser_context["request"].META if parser_context else {}
        raw = stream.read()
        boundary = _boundary(meta["CONTENT_TYPE"])
        _check_parsing_cost(raw, boundary)
        try:
            parser = DjangoMultiPartParser(meta, io.BytesIO(raw), [_NoFiles()])
            form, _ = parser.parse()
        except (MultiPartParserError, SuspiciousOperation) as error:
            raise ParseError(_BAD_FORM) from error
        pairs = [(name, value) for name, values in form.lists() for value in values]
        _check_nothing_was_skipped(raw, boundary, len(pairs))
        return {BODY: Body(fields=_unique_fields(pairs))}


def _boundary(content_type: str) -> bytes:
    boundary = parse_header_parameters(content_type)[1].get("boundary")
    if not boundary:
        raise ParseError(_BAD_FORM)
    return boundary.encode()


def _check_parsing_cost(raw: bytes, boundary: bytes) -> None:
    """Reject forms that are expensive for Django to parse.

    Django parses each part's headers as e-mail headers. Continued and encoded parameters
    (RFC 2231) crash it in some cases, and fill Python's codec cache with unknown charsets. No
    client of this API needs them. All of them contain an asterisk. It is rejected anywhere in the
    body, because only Django's parser could distinguish headers from content.
    """
    if b"*" in raw:
        raise ParseError(_ASTERISK)
    if raw.count(b"--" + boundary) > MAX_FIELDS + 1:
        raise ParseError(_BAD_FORM)


def _check_nothing_was_skipped(raw: bytes, boundary: bytes, fields: int) -> None:
    """Reject a form (RFC 2046, section 5.1.1) if Django's parser has skipped a part of it.

    Django's parser skips invalid parts without an error, so an invalid body would pass as a form
    without fields.
    """
    body = b"\r\n" + raw.rstrip(b"\r\n")
    parts = body.count(b"\r\n--" + boundary + b"\r\n")
    is_closed = body.endswith(b"\r\n--" + boundary + b"--")
    is_opened = body.startswith(b"\r\n--" + boundary)
    if not (is_opened and is_closed and parts == fields):
        raise ParseError(_BAD_FORM)


class _NoFiles(FileUploadHandler):
    """Rejects forms with files."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise ParseError("Send fields, not files.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called, because ``new_file`` raises."""

    def file_complete(self, file_size: int) -> None:
        """Never called, because ``new_file`` raises."""


def spawn_fields(body: Body) -> object:
    """Return the fields of a spawn's body, ``{}`` if the body is not a JSON object.

    The original ignores the body of a spawn, so other text is accepted too.

    Raises:
        ParseError: the body has a JSON content type or starts like an object, but is not JSON.
    """
    if body.fields is not None:
        return _structured(body.fields)
    if _OBJECT_START.match(body.raw) or (body.is_json and body.raw):
        return _json(body.raw)
    return {}


def required_fields(body: Body) -> object:
    """Return the content of a body that must be JSON or a multipart form.

    Raises:
        ParseError: it is neither.
    """
    return _json(body.raw) if body.fields is None else _structured(body.fields)


def command_value(body: Body) -> object:
    """Return the command in a body of any accepted format, not validated yet.

    The formats are ``"MMR"`` and ``["M", "R"]`` (JSON), ``MMR``, ``command=MMR`` and
    ``{"command": "MMR"}``.

    Raises:
        ParseError: the body has none of these formats.
    """
    if body.fields is not None:
        return _command_of(body.fields)
    text = _text(body.raw).strip()
    if not text:
        raise ParseError("The body is empty: send L, R or M.")
    if text[0] in '"[{':
        value = _json(body.raw)
        return _command_of(value) if isinstance(value, dict) else value
    if "=" in text:
        return _command_of(_unique_fields(parse_qsl(text, keep_blank_values=True)))
    return text


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError("The body is not UTF-8.") from error


def _json(raw: bytes) -> object:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ParseError(f"The body is not valid JSON: {error.msg}.") from error


def _unique_fields(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ParseError("A field is given more than once.")
    fields.pop(CSRF_FIELD, None)
    return fields


def _command_of(fields: Mapping[str, object]) -> object:
    unknown = sorted(set(fields) - {"command"})
    if unknown:
        raise ParseError(f"{unknown[0]!r} is not a field of a command: send 'command' alone.")
    if "command" not in fields:
        raise ParseError("There is no 'command' in the body.")
    return fields["command"]


def _structured(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return a form's fields in the structure of a JSON body, without the empty fields.

    ``location.x`` becomes a member of ``location``, and numbers become integers.
    """
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if not value:
            continue
        holder, _, key = name.rpartition(".")
        if holder == "location" and "location" not in fields:
            values.setdefault("location", {})[key] = _integer_or_text(value)
        else:
            values[name] = _integer_or_text(value) if name in _NUMERIC_FIELDS else value
    return values


def _integer_or_text(value: str) -> int | str:
    found = _INTEGER.fullmatch(value)
    return int(found[1]) if found else value
