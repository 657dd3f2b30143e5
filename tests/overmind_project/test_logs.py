"""Tests for log lines: their formats, their request ids, and escaping of control characters."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from overmind_project.logs import JSONFormatter, LineWriter, TextFormatter
from zerglings.log_context import CONTEXT, NOTHING

HOSTILE = "ok\r\n2026-01-01T00:00:00.000Z INFO x: forged\x1b[2J\x85\u2028\u202e\ud800\x00\x7f\t"


def record(message: str, *args: object) -> logging.LogRecord:
    made = logging.LogRecord("zerglings.hive.hive", logging.WARNING, "", 0, message, args, None)
    made.created, made.msecs = 1_790_000_000.0421, 42.1
    return made


def failed(message: str) -> logging.LogRecord:
    made = record("It failed")
    try:
        raise ValueError(message)
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


@pytest.fixture(autouse=True)
def on_behalf_of_nobody() -> Iterator[None]:
    """Clear the request context that an earlier test may have left in this thread."""
    token = CONTEXT.set(NOTHING)
    yield
    CONTEXT.reset(token)


@pytest.fixture
def ids() -> Iterator[None]:
    token = CONTEXT.set({"request_id": "r-1", "trace_id": "t-1"})
    yield
    CONTEXT.reset(token)


def test_a_text_line_has_time_level_logger_and_message() -> None:
    line = TextFormatter().format(record("It is %s", "damaged"))
    assert line == "2026-09-21T14:13:20.042Z WARNING zerglings.hive.hive: It is damaged"


def test_a_json_line_has_time_level_logger_and_message() -> None:
    assert json.loads(JSONFormatter().format(record("It is %s", "damaged"))) == {
        "timestamp": "2026-09-21T14:13:20.042Z",
        "level": "WARNING",
        "logger": "zerglings.hive.hive",
        "message": "It is damaged",
    }


def test_the_time_is_utc() -> None:
    formatter = JSONFormatter()
    for created in (1_790_000_000.0, 1_790_000_000.9, 1_790_000_001.1):
        made = record("x")
        made.created, made.msecs = created, created % 1 * 1000
        shown = datetime.fromisoformat(json.loads(formatter.format(made))["timestamp"])
        assert abs((shown - datetime.fromtimestamp(created, UTC)).total_seconds()) < 0.002


@pytest.mark.usefixtures("ids")
def test_the_request_and_trace_ids_are_in_each_line() -> None:
    assert TextFormatter().format(record("x")).endswith(": x request_id=r-1 trace_id=t-1")
    line = json.loads(JSONFormatter().format(record("x")))
    assert (line["request_id"], line["trace_id"]) == ("r-1", "t-1")


@pytest.mark.usefixtures("ids")
def test_another_thread_does_not_inherit_the_ids() -> None:
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(CONTEXT.get()))
    thread.start()
    thread.join()
    assert seen == [NOTHING]


def test_deferred_lines_are_written_together(capsys: pytest.CaptureFixture[str]) -> None:
    later: list[Callable[[], None]] = []
    lines = LineWriter()
    lines.write("at once")
    assert capsys.readouterr().out == "at once\n"
    lines.defer = later.append
    lines.write("one")
    lines.write("two")
    assert capsys.readouterr().out == ""
    (flush,) = later
    flush()
    assert capsys.readouterr().out == "one\ntwo\n"
    lines.flush()
    assert capsys.readouterr().out == ""


def test_control_characters_in_a_message_are_escaped() -> None:
    line = TextFormatter().format(record("%s", HOSTILE))
    assert line.isprintable()
    assert r"ok\r\n2026" in line
    assert r"\x1b[2J\x85\u2028\u202e\ud800\x00\x7f\t" in line
    line.encode()


def test_control_characters_in_a_json_message_are_escaped() -> None:
    line = JSONFormatter().format(record("%s", HOSTILE))
    assert line.isprintable()
    assert json.loads(line)["message"].startswith("ok\r\n2026")


def test_a_traceback_cannot_be_mistaken_for_log_lines() -> None:
    text = TextFormatter().format(failed(HOSTILE))
    first, *further = re.split("[\n\r\x85\u2028]", text)
    assert first.endswith(": It failed")
    assert further[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") and line.isprintable() for line in further)
    text.encode()


def test_a_traceback_is_a_field_of_a_json_line() -> None:
    line = JSONFormatter().format(failed("why"))
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("ValueError: why")
