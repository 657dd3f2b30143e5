"""Tests for the metrics directory that processes share: private, and removed at the end."""

from __future__ import annotations

import os
import resource
import signal
import stat
import tempfile
from functools import partial
from pathlib import Path

import pytest

from overmind_project.monitoring import multiprocess
from overmind_project.monitoring.multiprocess import (
    DIRECTORY_PREFIX,
    DIRECTORY_VARIABLE,
    FREE_BYTES,
    MAX_LEFT,
    MetricsDirectory,
    shared_directory,
)
from tests.support.backends import Backend
from tests.support.manage import python
from tests.support.prometheus import Metrics
from tests.support.service import Service, workers
from tests.support.waiting import wait_until


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The parent directory, in place of shared memory."""
    monkeypatch.setattr(multiprocess, "SHARED_MEMORY", str(tmp_path))
    monkeypatch.setenv(DIRECTORY_VARIABLE, "")
    return tmp_path


def opened() -> MetricsDirectory:
    counts = MetricsDirectory()
    counts.open()
    return counts


def test_the_directory_is_private_and_removed_at_the_end(place: Path) -> None:
    counts = opened()
    (made,) = place.glob(f"{DIRECTORY_PREFIX}*")
    assert os.environ[DIRECTORY_VARIABLE] == str(made)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    counts.close()
    assert list(place.iterdir()) == []


def test_a_directory_that_was_not_created_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "precious").touch()
    MetricsDirectory().close()
    assert (tmp_path / "precious").exists()


def test_only_abandoned_directories_are_removed(place: Path) -> None:
    living = opened()
    in_use = Path(os.environ[DIRECTORY_VARIABLE])
    (in_use / "counter_1.db").touch()
    abandoned, foreign = place / f"{DIRECTORY_PREFIX}old", place / "other"
    abandoned.mkdir()
    (abandoned / "counter_0.db").touch()
    foreign.mkdir()
    newer = opened()
    assert (in_use / "counter_1.db").exists()
    assert not abandoned.exists()
    assert foreign.exists()
    living.close()
    newer.close()


def test_the_target_of_a_symbolic_link_is_not_removed(
    place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "precious").touch()
    (place / f"{DIRECTORY_PREFIX}link").symlink_to(elsewhere)
    counts = opened()
    assert (elsewhere / "precious").exists()
    counts.close()


def test_the_temporary_directory_is_used_without_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocess, "SHARED_MEMORY", str(tmp_path / "none"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(DIRECTORY_VARIABLE, "")
    counts = opened()
    assert Path(os.environ[DIRECTORY_VARIABLE]).parent == tmp_path
    counts.close()


UNWRITABLE = "/proc"
"""A directory in which not even root can create files."""


@pytest.mark.parametrize("memory", [UNWRITABLE, "/dev/null", "/dev/null/none"])
def test_the_temporary_directory_is_used_if_shared_memory_is_not_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: str
) -> None:
    monkeypatch.setattr(multiprocess, "SHARED_MEMORY", memory)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert shared_directory() == str(tmp_path)


def test_a_full_file_system_is_not_used(place: Path) -> None:
    assert shared_directory() == str(place)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FREE_BYTES - 1, usual[1]))
    try:
        with pytest.raises(OSError, match="not enough free space"):
            shared_directory()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert list(place.iterdir()) == []


SERVE_WITHOUT = """
import sys, tempfile
from gunicorn.app.wsgiapp import run
from overmind_project.monitoring import multiprocess
multiprocess.SHARED_MEMORY, tempfile.tempdir = {memory!r}, {temporary!r}
sys.argv = ["gunicorn", "-c", "python:overmind_project.gunicorn_conf"]
run()
"""


@pytest.mark.parametrize("where", ["memory", "temporary"])
def test_a_service_with_one_writable_directory_serves_and_counts(
    sqlite: Backend, tmp_path: Path, where: str
) -> None:
    places = {"memory": UNWRITABLE, "temporary": UNWRITABLE} | {where: str(tmp_path)}
    program = ("-c", SERVE_WITHOUT.format(**places))
    given = sqlite.environment | {"OVERMIND_RATE_LIMIT": "1000/s"}
    with Service(given, tmp_path, program=program) as service:
        assert service.call("GET", "/zerglings/").status == 200
        wait_until(partial(has_counted, service, 1), "the call is counted")
        assert "Traceback" not in service.log


def test_a_service_without_a_writable_directory_reports_it_in_one_line() -> None:
    done = python("-c", SERVE_WITHOUT.format(memory=UNWRITABLE, temporary=UNWRITABLE))
    assert done.returncode == 1
    assert done.stderr.startswith("overmind: ")
    assert done.stderr.count("\n") == 1


def files_of(*workers: int) -> set[str]:
    """Return the files in which workers count, which outlive them."""
    return {f"{kind}_{worker}.db" for worker in workers for kind in ("counter", "histogram")}


def test_an_ended_worker_leaves_its_counts_but_no_gauges(place: Path) -> None:
    counts = opened()
    directory = Path(os.environ[DIRECTORY_VARIABLE])
    for name in {*files_of(1, 2), "gauge_livesum_1.db", "gauge_livesum_2.db"}:
        (directory / name).touch()
    counts.worker_ended(1, running={2})
    left = {file.name for file in directory.iterdir()}
    assert left == {*files_of(1, 2), "gauge_livesum_2.db"}
    counts.close()


def test_the_number_of_files_is_bounded_however_often_workers_end(place: Path) -> None:
    counts = opened()
    directory = Path(os.environ[DIRECTORY_VARIABLE])
    living = 10**6
    for name in files_of(living):
        (directory / name).touch()
    most = 0
    for worker in range(1, 2 * MAX_LEFT):
        for name in files_of(worker):
            (directory / name).touch()
        counts.worker_ended(worker, running={living})
        found = {file.name for file in directory.iterdir()}
        assert files_of(living) <= found
        most = max(most, len(found))
    assert most == MAX_LEFT + 2, "those of the running worker come on top"
    counts.close()


def directory_of(service: Service) -> Path:
    """Return the directory that a worker has locked."""
    (worker,) = workers(service)
    files = [Path(os.readlink(link)) for link in Path(f"/proc/{worker}/fd").iterdir()]
    (found,) = {file for file in files if file.name.startswith(DIRECTORY_PREFIX)}
    return found


def test_a_service_removes_its_directory(sqlite: Backend, tmp_path: Path) -> None:
    with Service(sqlite.environment, tmp_path) as service:
        made = directory_of(service)
        assert made.is_dir()
    assert not made.exists()


def test_the_counts_of_killed_workers_stay(sqlite: Backend, tmp_path: Path) -> None:
    with Service(sqlite.environment, tmp_path) as service:
        made = directory_of(service)
        service.call("GET", "/zerglings/")
        for killed in range(3):
            wait_until(partial(has_counted, service, killed + 1), "the call is counted")
            (victim,) = workers(service)
            os.kill(victim, signal.SIGKILL)
            wait_until(partial(has_successor, service, victim), "the victim has a successor")
            assert service.call("GET", "/zerglings/").status == 200
        wait_until(partial(has_counted, service, 4), "all calls are counted")
        (worker,) = workers(service)
        assert [file.name for file in made.glob("gauge_*")] == [f"gauge_livesum_{worker}.db"]


def has_counted(service: Service, lists: int) -> bool:
    """Whether so many requests are counted, which happens after their responses are sent."""
    counted = Metrics.of(service).total("overmind_http_requests_total", route="zergling-list")
    return counted == lists


def has_successor(service: Service, worker: int) -> bool:
    return set(workers(service)) not in ({worker}, set())
