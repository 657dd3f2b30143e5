"""Request bodies to values: what was sent, freed from how it was sent.

The original's clients send commands as JSON under curl's form content type, so what a body is
gets decided by its content first. What the values must be is the serializers' affair.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import parse_qsl

import orjson
from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http import Http404
from django.http.multipartparser import MultiPartParser as DjangoMultiPartParser
from django.http.multipartparser import MultiPartParserError
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import NotAcceptable, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.settings import api_settings

from zerglings.api.negotiation import chosen
from zerglings.api.renderers import CompactJSONRenderer

CSRF_FIELD = "csrfmiddlewaretoken"
"""A hidden field that Django puts into every HTML form."""


_DEFAULT_ACCEPTS = ("*/*", "application/json")
"""What most programs accept, and what needs no negotiation."""

_NUMBERS = ("count",)
_INTEGER = re.compile(r"(-?[0-9]{1,17})(?:\.0{1,17})?")

MOST_FIELDS = 16
"""Fields of a multipart form; none that is accepted has so many."""

_BAD_FORM = "The multipart form is malformed or has too many fields."
_ASTERISK = "A multipart form may hold no asterisk, neither in its fields nor in their heads."

_OBJECT = re.compile(rb"[\s\x00'\"\\\xef\xbb\xbf\xfe\xff]*(?:\{|%7[Bb])")
"""How a body begins that is meant to be a JSON object, whatever became of it on the way.

A shell may have left its quotes around it, an editor a byte order mark before it or two bytes for
each character, and ``curl --data-urlencode`` encodes its braces.
"""

BODY = "body"
"""The key under which the parsers hand the body over; the framework wants a mapping."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it was sent: its bytes, or the fields of a multipart form."""

    raw: bytes = b""
    fields: dict[str, str] | None = None
    is_json: bool = False

    @classmethod
    def of(cls, request: Request) -> Body:
        """Return what the parsers made of a request; an empty body was never parsed."""
        data = request.data
        body = data.get(BODY) if isinstance(data, dict) else None
        return body if isinstance(body, cls) else cls()


class _RawBodyParser(BaseParser):
    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Body]:
        """Return the bytes as they are."""
        return {BODY: Body(raw=stream.read(), is_json=self.media_type == "application/json")}


class JSONBodyParser(_RawBodyParser):
    """What says that it is JSON."""

    media_type = "application/json"
    renderer_class = CompactJSONRenderer  # of the example in the browsable API's raw form


class FormBodyParser(_RawBodyParser):
    """A form, or anything that curl sends without being told what it is."""

    media_type = "application/x-www-form-urlencoded"


class TextBodyParser(_RawBodyParser):
    """Plain text, which a browser form can send too."""

    media_type = "text/plain"


class BinaryBodyParser(_RawBodyParser):
    """Bytes of which their sender does not say what they are, as some libraries send all bytes."""

    media_type = "application/octet-stream"


class MultipartBodyParser(BaseParser):
    """A form with fields, from ``curl -F`` or the browsable API."""

    media_type = "multipart/form-data"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Body]:
        """Return the fields; a field given twice or a file is refused."""
        meta = parser_context["request"].META if parser_context else {}
        raw = stream.read()
        boundary = _boundary_of(meta["CONTENT_TYPE"])
        _check_before_it_is_parsed(raw, boundary)
        try:
            parser = DjangoMultiPartParser(meta, io.BytesIO(raw), [_NoFiles()])
            form, _ = parser.parse()
        except (MultiPartParserError, SuspiciousOperation) as error:
            raise ParseError(_BAD_FORM) from error
        pairs = [(name, value) for name, values in form.lists() for value in values]
        _check_that_all_is_read(raw, boundary, len(pairs))
        return {BODY: Body(fields=_unrepeated(pairs))}


def _boundary_of(content_type: str) -> bytes:
    boundary = parse_header_parameters(content_type)[1].get("boundary")
    if not boundary:
        raise ParseError(_BAD_FORM)
    return boundary.encode()


def _check_before_it_is_parsed(raw: bytes, boundary: bytes) -> None:
    """Refuse a form whose heads would cost the framework more than they are long.

    Each of their lines is parsed as a header of an e-mail. Parameters that continue or that name
    their charset (RFC 2231) are not needed here, and all have an asterisk: the framework fails over
    some, and looks up each charset among Python's codecs, which remember for ever those that
    they did not know. It is refused anywhere, as nobody but that parser knows what is a head.
    """
    if b"*" in raw:
        raise ParseError(_ASTERISK)
    if raw.count(b"--" + boundary) > MOST_FIELDS + 1:
        raise ParseError(_BAD_FORM)


def _check_that_all_is_read(raw: bytes, boundary: bytes, fields: int) -> None:
    """Refuse a form (RFC 2046, 5.1.1) of which the framework's parser passed over a part.

    That parser takes what it does not understand for nothing, rubbish for a form without fields.
    """
    body = b"\r\n" + raw.rstrip(b"\r\n")
    parts = body.count(b"\r\n--" + boundary + b"\r\n")
    is_closed = body.endswith(b"\r\n--" + boundary + b"--")
    is_begun = body.startswith(b"\r\n--" + boundary)
    if not (is_begun and is_closed and parts == fields):
        raise ParseError(_BAD_FORM)


class _NoFiles(FileUploadHandler):
    """Refuses the first file of a form."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise ParseError("Send fields, not files.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called: no file gets so far."""

    def file_complete(self, file_size: int) -> None:
        """Never called: no file gets so far."""


class LenientNegotiation(DefaultContentNegotiation):
    """Takes a body without a type for plain text, and lets weights choose the answer's form."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return who shapes the answer, and as what media type."""
        accept = request.META.get("HTTP_ACCEPT") or "*/*"
        if accept in _DEFAULT_ACCEPTS and not request.META.get("QUERY_STRING"):
            default = next(iter(renderers))
            if accept in ("*/*", default.media_type):
                return default, default.media_type
        if form := format_suffix or request.query_params.get(api_settings.URL_FORMAT_OVERRIDE):
            renderers = self.filter_renderers(renderers, form)
        by_type = {renderer.media_type: renderer for renderer in renderers}
        media_type = chosen(accept, tuple(by_type))
        if media_type is None:
            raise NotAcceptable
        return by_type[media_type], media_type

    def filter_renderers(
        self,
        renderers: Iterable[BaseRenderer],
        format: str,  # noqa: A002 - the framework's name
    ) -> list[BaseRenderer]:
        """Return who can make the form that ``?format=`` names."""
        try:
            return super().filter_renderers(renderers, format)
        except Http404 as error:
            raise NotAcceptable from error

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return the parser for the request's content type, None when there is none."""
        content_type = request.META.get("CONTENT_TYPE")
        if not content_type:
            return TextBodyParser()
        for parser in parsers:
            if parser.media_type == content_type:
                return parser
        return super().select_parser(request, parsers)


def spawn_fields(body: Body) -> object:
    """Return what a spawn asks for; ``{}`` for a body that is not meant for it.

    Raises:
        ParseError: the body says that it is JSON, or begins like an object, and is not.
    """
    if body.fields is not None:
        return _nested(body.fields)
    if _OBJECT.match(body.raw) or (body.is_json and body.raw):
        return _json(body.raw)
    return {}


def whole_fields(body: Body) -> object:
    """Return what a body that must be JSON or a form holds.

    Raises:
        ParseError: the body is neither.
    """
    return _json(body.raw) if body.fields is None else _nested(body.fields)


def command_value(body: Body) -> object:
    """Return what the client gave as its command, from any of the accepted forms.

    Raises:
        ParseError: the body is none of them.
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
        return _command_of(_unrepeated(parse_qsl(text, keep_blank_values=True)))
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


def _unrepeated(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
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


def _nested(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return a form's numbers and ``location`` as JSON has them; empty fields are absent."""
    nested: dict[str, Any] = {}
    for name, value in fields.items():
        if not value:
            continue
        holder, _, key = name.rpartition(".")
        if holder == "location" and "location" not in fields:
            nested.setdefault("location", {})[key] = _integer_or_text(value)
        else:
            nested[name] = _integer_or_text(value) if name in _NUMBERS else value
    return nested


def _integer_or_text(value: str) -> int | str:
    found = _INTEGER.fullmatch(value)
    return int(found[1]) if found else value
