"""How a log line looks: text for people or JSON for machines, with what it was logged on behalf of.

Whatever is in a message stays within its line: control characters are escaped, and in text the
further lines of a traceback are indented, so that no line can pass for another. Knows nothing of
HTTP: what a line belongs to is a few fields, which whoever serves a request sets.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping

import orjson

from zerglings.log_context import CONTEXT

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_IN_JSON = re.compile(r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Fields(logging.LogRecord):
    """A record with further fields, of which a text line shows all that are not in its message."""

    def __init__(
        self, logger: str, message: str, shown: Mapping[str, object], told: Mapping[str, object]
    ) -> None:
        super().__init__(logger, logging.INFO, "", 0, message, None, None)
        self.shown = shown
        self.told = told


class _Formatter(logging.Formatter):
    """What both forms share: the time, to the millisecond, as RFC 3339 says, in UTC."""

    def __init__(self) -> None:
        super().__init__()
        self._second = (0, "")

    def _time_of(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        known, text = self._second
        if known != second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second, text
        return f"{text}.{int(record.msecs):03d}Z"

    def _traceback_of(self, record: logging.LogRecord) -> str:
        parts = [self.formatException(record.exc_info)] if record.exc_info else []
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(parts)


class TextFormatter(_Formatter):
    """`<time> <level> <logger>: <message> name=value …`, a traceback indented below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, and further ones only for a traceback."""
        line = f"{self._time_of(record)} {record.levelname} {record.name}: {record.getMessage()}"
        if isinstance(record, Fields):
            line += "".join([f" {name}={value}" for name, value in record.shown.items()])
        line += "".join([f" {name}={value}" for name, value in CONTEXT.get().items()])
        if _UNSAFE.search(line):
            line = _UNSAFE.sub(_escaped, line)
        if record.exc_info or record.stack_info:
            for further in self._traceback_of(record).splitlines():
                line += "\n    " + _UNSAFE.sub(_escaped, further)
        return line


class JSONFormatter(_Formatter):
    """One JSON object a line, its names stable; a traceback is in `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        line: dict[str, object] = {
            "timestamp": self._time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _clean(record.getMessage()),
        }
        line.update(CONTEXT.get())
        if isinstance(record, Fields):
            line.update(record.told)
            line.update(record.shown)
        if record.exc_info or record.stack_info:
            line["exception"] = _clean(self._traceback_of(record))
        return orjson.dumps(line).decode()


def _clean(text: str) -> str:
    return _UNSAFE_IN_JSON.sub(_escaped, text) if _UNSAFE_IN_JSON.search(text) else text


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode()
