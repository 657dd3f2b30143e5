"""Log formatters: text for people, JSON for log collectors.

Each record stays on its own line. Control characters are escaped, and the lines of a traceback
are indented in text, so that no input can forge a log line. The fields in `CONTEXT` are added to
every line; the code that serves a request sets them.
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


class RecordWithFields(logging.LogRecord):
    """A log record with structured fields.

    Args:
        logger: the logger's name.
        message: the text of the line.
        extra: fields that both formats show.
        in_message: fields that the message contains already; only JSON shows them.
    """

    def __init__(
        self,
        logger: str,
        message: str,
        extra: Mapping[str, object],
        in_message: Mapping[str, object],
    ) -> None:
        super().__init__(logger, logging.INFO, "", 0, message, None, None)
        self.extra = extra
        self.in_message = in_message


class _Formatter(logging.Formatter):
    """The common part: timestamps in UTC with milliseconds (RFC 3339), and tracebacks."""

    def __init__(self) -> None:
        super().__init__()
        self._cached_second = (0, "")

    def _time_of(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        cached, text = self._cached_second
        if cached != second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._cached_second = second, text
        return f"{text}.{int(record.msecs):03d}Z"

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
        if isinstance(record, RecordWithFields):
            line += "".join([f" {name}={value}" for name, value in record.extra.items()])
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
        if isinstance(record, RecordWithFields):
            line.update(record.in_message)
            line.update(record.extra)
        if record.exc_info or record.stack_info:
            line["exception"] = _clean(self._traceback_of(record))
        return orjson.dumps(line).decode()


def _clean(text: str) -> str:
    return _UNSAFE_IN_JSON.sub(_escaped, text) if _UNSAFE_IN_JSON.search(text) else text


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode()
