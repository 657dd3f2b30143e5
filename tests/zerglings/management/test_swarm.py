"""Tests for `manage.py swarm`, run as a process."""

from __future__ import annotations

import json
import re
import select
import signal
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.support.backends import Backend
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.lives import of_the_original
from tests.support.manage import (
    failed,
    manage,
    on_a_terminal,
    running_on_a_terminal,
    started,
    succeeded,
    through_head,
)
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import Zergling
from zerglings.hive.hive import Hive
from zerglings.management.commands import swarm as swarm_command
from zerglings.storage.base import StoreUnavailable

ID = "[0-9a-f-]{36}"
ENTER_SCREEN, LEAVE_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
NOBODY = "00000000-0000-4000-8000-000000000000"


def swarm(backend: Backend, *arguments: str) -> str:
    return succeeded(manage(backend.environment, "swarm", *arguments))


def test_a_zergling_is_spawned_moved_shown_and_deleted(backend: Backend) -> None:
    row = swarm(backend, "spawn", "--at=-3,4", "--facing", "W")
    assert re.fullmatch(rf"{ID}  W       -3,4\n", row)
    id_ = row[:36]
    assert swarm(backend, "list") == f"{'ID':<36}  FACING  LOCATION\n{row}"
    moved = swarm(backend, "move", id_, "MMRM")
    assert moved == f"{id_}  N       -5,5\n"
    shown = swarm(backend, "show", id_)
    assert "\nlocation  -5,5\nfacing    N\nspawned   -3,4 W\ncommands  4\n" in shown
    assert shown.endswith("latest    MMRM\n\n  ^\n  ..o\n")
    with closing(backend.open()) as store:
        assert Hive(store).get(id_).history == tuple("MMRM")
    assert swarm(backend, "kill", id_) == f"{id_}  died\n"
    assert swarm(backend, "list").count("\n") == 1
    assert "there is no zergling" in failed(manage(backend.environment, "swarm", "show", id_))


def test_many_zerglings_are_spawned_at_once_and_listed_as_json(backend: Backend) -> None:
    rows = swarm(backend, "spawn", "--count", "200").splitlines()
    assert len({row[:36] for row in rows}) == 200
    listed = [json.loads(line) for line in swarm(backend, "list", "--json").splitlines()]
    assert [one["id"] for one in listed] == sorted(row[:36] for row in rows)
    assert listed[0] | {"id": ""} == {"id": "", "location": {"x": 0, "y": 0}, "facing": "N"}
    assert swarm(backend, "list", "--limit", "7").count("\n") == 8


def test_spawned_zerglings_are_printed_before_an_error(
    sqlite: Backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite.open()) as store:
        hive = Hive(store)
        living = Zergling.spawned(NOBODY, Pose(1, 2))
        parts = iter([[StoreUnavailable("the store is away"), living]])
        monkeypatch.setattr(hive.bulk, "spawn", lambda count, pose: parts)
        monkeypatch.setattr(swarm_command, "configured_hive", lambda: hive)
        with pytest.raises(CommandError, match="the store is away"):
            call_command("swarm", "spawn", "--count", "2")
    assert capsys.readouterr().out == f"{NOBODY}  N       1,2\n"


def test_commands_recorded_by_the_original_are_shown(sqlite: Backend) -> None:
    document = of_the_original(["M", "jump"])
    with closing(sqlite.open()) as store:
        store.put_many([document], timeout=5)
    assert "latest    M jump\n" in swarm(sqlite, "show", document["_id"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("move", NOBODY, "M"), "there is no zergling"),
        (("move", "nobody", "M"), "there is no zergling"),
        (("move", NOBODY, "MX"), "'X' is not a command"),
        (("kill", NOBODY), "there is no zergling"),
    ],
)
def test_rejected_commands_are_explained(
    sqlite: Backend, arguments: tuple[str, ...], words: str
) -> None:
    assert words in failed(manage(sqlite.environment, "swarm", *arguments))


def test_a_step_over_the_edge_is_rejected(sqlite: Backend) -> None:
    row = swarm(sqlite, "spawn", f"--at=0,{2**53 - 1}")
    assert "The grid ends" in failed(manage(sqlite.environment, "swarm", "move", row[:36], "M"))


def test_a_missing_store_is_reported(tmp_path: Path) -> None:
    nowhere = {"OVERMIND_SQLITE_PATH": str(tmp_path / "none.sqlite3")}
    for action in ("spawn", "list", "watch"):
        assert "run manage.py bootstrap_couch" in failed(manage(nowhere, "swarm", action))


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("dance",),
        ("show",),
        ("spawn", "--at=1"),
        ("spawn", "--at=1,x"),
        ("spawn", "--at=9007199254740992,0"),
        ("spawn", "--count=0"),
        ("spawn", "--count=-1"),
        ("spawn", "--facing=NE"),
        ("list", "--limit=0"),
    ],
)
def test_wrong_usage_exits_with_status_2(sqlite: Backend, arguments: tuple[str, ...]) -> None:
    done = manage(sqlite.environment, "swarm", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(b"usage: manage.py swarm")


def test_a_closed_pipe_ends_the_command_without_an_error(sqlite: Backend) -> None:
    with closing(sqlite.open()) as store:
        for _ in range(6):
            store.put_many([of_the_original([]) for _ in range(500)], timeout=10)
    done = through_head(sqlite.environment, "swarm list", 10)
    assert (done.stdout, done.stderr) == (b"ID        ", b"")
    assert done.returncode == 128 + signal.SIGPIPE


def test_colours_are_used_only_on_terminals(sqlite: Backend) -> None:
    assert b"\x1b[" in on_a_terminal(sqlite.environment, "swarm", "list")
    assert b"\x1b[" not in on_a_terminal(sqlite.environment, "swarm", "list", "--no-color")
    without = sqlite.environment | {"NO_COLOR": "1"}
    assert b"\x1b[" not in on_a_terminal(without, "swarm", "list")
    assert b"\x1b[" not in manage(sqlite.environment, "swarm", "list").stdout


def test_watch_draws_the_swarm_on_a_terminal_and_restores_the_screen(backend: Backend) -> None:
    with closing(backend.open()) as store:
        hive = Hive(store)
        hive.spawn(Pose(3, 4))
        with running_on_a_terminal(backend.environment, "swarm", "watch") as (watch, terminal):
            assert ENTER_SCREEN in terminal.read_until(b"1 zergling;")
            id_ = hive.spawn(Pose(5, 5, "S")).id
            terminal.read_until(b"2 zerglings;")
            terminal.read_until(f"{id_}  S  5,5".encode())
            # Interrupted in code that it runs for the first time, coverage can block the process.
            terminal.read_until(b"Ctrl-C ends")
            watch.send_signal(signal.SIGINT)
            terminal.read_until(LEAVE_SCREEN)
            rest = b"".join(iter(terminal.read, b""))
            assert watch.wait(10) == 128 + signal.SIGINT
    assert b"Traceback" not in rest


@pytest.mark.parametrize("terminal_type", ["dumb", "unknown"])
def test_watch_prints_lines_on_a_terminal_that_cannot_be_drawn_on(
    sqlite: Backend, terminal_type: str
) -> None:
    environment = sqlite.environment | {"TERM": terminal_type}
    with (
        closing(sqlite.open()) as store,
        running_on_a_terminal(environment, "swarm", "watch") as (_, terminal),
    ):
        hive = Hive(store)
        while terminal.is_silent(0.2):
            hive.spawn(Pose(3, 4))
        assert ENTER_SCREEN not in terminal.read_until(b"  N  3,4  after 0 commands")


def test_watch_on_a_terminal_says_that_it_waits_for_the_store_and_goes_on(
    couch: Backend, proxy: FaultProxy
) -> None:
    through = couch.through(proxy.url).environment
    with closing(couch.open()) as store:
        hive = Hive(store)
        hive.spawn(Pose(3, 4))
        with running_on_a_terminal(through, "swarm", "watch") as (_, terminal):
            terminal.read_until(b"1 zergling;")
            proxy.down()
            terminal.read_until(b"waiting for the store: ")
            id_ = hive.spawn(Pose(5, 5, "S")).id
            proxy.up()
            terminal.read_until(b"the store answers again")
            terminal.read_until(f"{id_}  S  5,5".encode())


def test_watch_lists_the_swarm_after_an_outage_at_the_start(
    couch: Backend, proxy: FaultProxy
) -> None:
    with closing(couch.open()) as store:
        Hive(store).spawn(Pose(3, 4))
    proxy.fault = Fault(Answer(500), lambda _method, path: "_all_docs" in path)
    through = couch.through(proxy.url).environment
    with running_on_a_terminal(through, "swarm", "watch") as (_, terminal):
        terminal.read_until(b"waiting for the store: ")
        proxy.fault = None
        terminal.read_until(b"1 zergling;")


def test_watch_without_a_terminal_reports_an_outage_as_errors_and_goes_on(
    couch: Backend, proxy: FaultProxy
) -> None:
    watch = started(couch.through(proxy.url).environment, "swarm", "watch")
    assert watch.stdout is not None
    assert watch.stderr is not None
    with closing(couch.open()) as store, watch:
        hive = Hive(store)
        errors = iter(watch.stderr.readline, b"")
        while not select.select([watch.stdout], [], [], 0.2)[0]:
            hive.spawn(Pose())
        proxy.down()
        assert any(b"  waiting for the store: " in line for line in errors)
        id_ = hive.spawn(Pose(5, 5, "S")).id
        proxy.up()
        assert any(b"  the store answers again\n" in line for line in errors)
        assert any(id_.encode() in line for line in iter(watch.stdout.readline, b""))
        watch.kill()


def test_watch_prints_events_until_it_is_interrupted(backend: Backend) -> None:
    watch = started(backend.environment, "swarm", "watch")
    assert watch.stdout is not None
    with closing(backend.open()) as store, watch:
        hive = Hive(store)
        lines = iter(watch.stdout.readline, b"")
        # Events before the start of the watch are not shown, so this repeats until one is.
        while not select.select([watch.stdout], [], [], 0.2)[0]:
            hive.spawn(Pose())
        heard = next(lines).decode()
        assert re.match(r"\d\d:\d\d:\d\d  spawned  " + ID + r"  N  0,0  after 0 commands", heard)
        zergling = hive.spawn(Pose(5, 5, "S"))
        expected = f"spawned  {zergling.id}  S  5,5  after 0 commands"
        assert any(expected in line.decode() for line in lines)
        hive.kill(zergling.id)
        assert any(f"died     {zergling.id}\n" in line.decode() for line in lines)
        watch.send_signal(signal.SIGINT)
        _, errors = watch.communicate(timeout=10)
    assert errors == b""
    assert watch.returncode == 128 + signal.SIGINT
