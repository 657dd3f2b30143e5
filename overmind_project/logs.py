"""Log formatters: text for people, JSON for log collectors.

Each record stays on its own line. Control characters are escaped, and the lines of a traceback
are indented in text, so that no input can forge a log line. The fields in `CONTEXT` are added to
every line; the code that serves a request sets them. The access log consists of safe fields only
and does without these formatters, see `middleware/access_log.py`.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable

import orjson

from zerglings.log_context import CONTEXT

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_IN_JSON = re.compile(r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Timestamps:
    """Formats times as RFC 3339 in UTC with milliseconds; remembers the text of the last second."""

    def __init__(self) -> None:
        self._second, self._text = 0, ""

    def text_of(self, seconds: float) -> str:
        """Return the text of a time, given as seconds since the epoch."""
        second = int(seconds)
        if second != self._second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second, self._text = second, text
        return f"{self._text}.{int(seconds % 1 * 1000):03d}Z"


class LineWriter:
    """Writes the lines of the access log to standard output.

    A worker sets `defer`, a function that calls another one a moment later. Lines that come in
    between are then written together, which costs less than a write for each.
    """

    def __init__(self) -> None:
        self.defer: Callable[[Callable[[], None]], object] | None = None
        self._lines: list[str] = []

    def write(self, line: str) -> None:
        """Write a line, now or a moment later."""
        self._lines.append(line)
        if self.defer is None:
            self.flush()
        elif len(self._lines) == 1:
            self.defer(self.flush)

    def flush(self) -> None:
        """Write all lines now."""
        lines, self._lines = self._lines, []
        if lines:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()


ACCESS_LINES = LineWriter()
"""The access log of this process."""


class _Formatter(logging.Formatter):
    """The common part of both formats."""

    def __init__(self) -> None:
        super().__init__()
        self._timestamps = Timestamps()

    def _time_of(self, record: logging.LogRecord) -> str:
        return self._timestamps.text_of(record.created)

    def _traceback_of(self, record: logging.LogRecord) -> str:
        parts = [self.formatException(record.exc_info)] if record.exc_info else []
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(parts)


class TextFormatter(_Formatter):
    """Formats `<time> <level> <logger>: <message> name=value …`; a traceback is indented below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; only a traceback adds further lines."""
        line = f"{self._time_of(record)} {record.levelname} {record.name}: {record.getMessage()}"
        line += "".join([f" {name}={value}" for name, value in CONTEXT.get().items()])
        if _UNSAFE.search(line):
            line = _UNSAFE.sub(_escaped, line)
        if record.exc_info or record.stack_info:
            for further in self._traceback_of(record).splitlines():
                line += "\n    " + _UNSAFE.sub(_escaped, further)
        return line


class JSONFormatter(_Formatter):
    """Formats one JSON object a line, with stable names; a traceback is in `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the JSON object."""
        line: dict[str, object] = {
            "timestamp": self._time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _clean(record.getMessage()),
        }
        line.update(CONTEXT.get())
        if record.exc_info or record.stack_info:
            line["exception"] = _clean(self._traceback_of(record))
        return orjson.dumps(line).decode()


def _clean(text: str) -> str:
    return _UNSAFE_IN_JSON.sub(_escaped, text) if _UNSAFE_IN_JSON.search(text) else text


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode()
