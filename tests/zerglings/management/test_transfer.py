"""Tests for `manage.py export_zerglings` and `import_zerglings`, run as processes."""

from __future__ import annotations

import gzip
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.service.test_streams import fill, is_second_page
from tests.support.backends import Backend, sqlite_backend
from tests.support.documents import SOON, write
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.lives import TAIL, everything, of_the_original, populate
from tests.support.manage import (
    failed,
    manage,
    on_a_terminal,
    started,
    succeeded,
    through_head,
)
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest
from zerglings.hive.hive import Hive

SWARM = 3000
REFUSED = Answer(401, b'{"error":"unauthorized"}', {"Content-Type": "application/json"})
"""An error that is not retried, so that the command ends immediately."""


@pytest.fixture
def other(tmp_path: Path) -> Backend:
    (tmp_path / "other").mkdir()
    return sqlite_backend(tmp_path / "other")


@pytest.fixture
def swarm(sqlite: Backend) -> Backend:
    """More zerglings than one page holds."""
    with closing(sqlite.open()) as store:
        for _ in range(SWARM // 500):
            store.put_many([of_the_original(["M"]) for _ in range(500)], timeout=10)
    return sqlite


@pytest.mark.parametrize("name", ["file.jsonl", "file.jsonl.gz"])
def test_an_export_is_imported_from_a_file(
    backend: Backend, other: Backend, tmp_path: Path, name: str
) -> None:
    file = str(tmp_path / name)
    with closing(backend.open()) as store:
        populate(store)
    said = succeeded(manage(backend.environment, "export_zerglings", file))
    assert said.count("\n") == 1
    assert "exported 5 zerglings" in said
    assert "is complete: 5 zerglings" in succeeded(manage({}, "import_zerglings", "--check", file))
    said = succeeded(manage(other.environment, "import_zerglings", file))
    assert said.count("\n") == 1
    assert "imported 5 zerglings" in said
    said = succeeded(manage(other.environment, "import_zerglings", file))
    assert "nothing to do: the store has all of 5 zerglings" in said


def test_lost_parts_of_histories_are_imported_alone(backend: Backend, tmp_path: Path) -> None:
    """Even though the zergling has changed since the export."""
    file = str(tmp_path / "file.jsonl")
    with closing(backend.open()) as store:
        hive = Hive(store, tail=TAIL)
        spawn = hive.spawn(Pose())
        for _ in range(3 * TAIL):
            hive.command(spawn.id, CommandRequest.command("M"))
        succeeded(manage(backend.environment, "export_zerglings", file))
        hive.command(spawn.id, CommandRequest.command("M"))
        (part, *_) = store.history.page(None, 10, timeout=SOON).documents
        write(store.history, part | {"_deleted": True})
        again = "import_zerglings", "--histories", file
        assert "imported 0 zerglings and 1 parts" in succeeded(manage(backend.environment, *again))
        assert sum(len(words) for words in hive.history(spawn.id).parts) == 3 * TAIL + 1
        said = succeeded(manage(backend.environment, *again))
        assert "nothing to do: the store has all of 0 zerglings and 1 parts" in said


def test_an_export_is_imported_through_pipes(backend: Backend, other: Backend) -> None:
    with closing(other.open()) as store:
        populate(store)
        expected = set(everything(store))
    done = manage(other.environment, "export_zerglings", "-")
    assert b"exported 5 zerglings" in done.stderr
    succeeded(manage(backend.environment, "import_zerglings", "-", given=done.stdout))
    with closing(backend.open()) as store:
        assert set(everything(store)) == expected


def test_a_compressed_export_is_recognised_by_its_content(sqlite: Backend, tmp_path: Path) -> None:
    with closing(sqlite.open()) as store:
        populate(store)
    plain = manage(sqlite.environment, "export_zerglings", "-").stdout
    packed = gzip.compress(plain)
    for name, content in (
        ("renamed", packed),
        ("two-members", gzip.compress(plain[:100]) + gzip.compress(plain[100:])),
        ("unpacked.gz", plain),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        assert "is complete: 5 zerglings" in succeeded(
            manage({}, "import_zerglings", "--check", str(file))
        )
    said = manage({}, "import_zerglings", "--check", "-", given=packed)
    assert "is complete: 5 zerglings" in succeeded(said)
    renamed = tmp_path / "renamed"
    failed(manage(sqlite.environment, "export_zerglings", "--resume", str(renamed)))
    assert renamed.read_bytes() == packed, "a compressed file cannot be resumed"


@pytest.mark.proof
def test_a_killed_export_is_resumed(swarm: Backend, tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl"
    whole = manage(swarm.environment, "export_zerglings", "-").stdout
    running = started(swarm.environment, "export_zerglings", str(file))
    while not file.exists() or not file.stat().st_size:
        assert running.poll() is None
        time.sleep(0.001)  # between two looks
    running.kill()
    running.communicate()
    assert 0 < file.stat().st_size < len(whole)
    assert "exists already" in failed(manage(swarm.environment, "export_zerglings", str(file)))
    said = succeeded(manage(swarm.environment, "export_zerglings", "--resume", str(file)))
    assert f"holds {SWARM} zerglings and 0 parts" in said
    assert file.read_bytes() == whole
    assert "already complete" in succeeded(
        manage(swarm.environment, "export_zerglings", "--resume", str(file))
    )


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["other", "couch"])
def test_a_killed_import_is_completed_by_the_next(
    swarm: Backend, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    other: Backend = request.getfixturevalue(kind)
    file = tmp_path / "file.jsonl"
    succeeded(manage(swarm.environment, "export_zerglings", str(file)))
    running = started(other.environment, "import_zerglings", str(file))
    with closing(other.open()) as store:
        while not store.page(None, 1, timeout=5).documents:
            assert running.poll() is None
        running.kill()
        running.communicate()
        assert len(list(Hive(store).pages())) < SWARM / 1000 + 1
    said = succeeded(manage(other.environment, "import_zerglings", str(file)))
    assert said.startswith("imported ")
    assert " 0 documents were there" not in said
    again = manage(other.environment, "export_zerglings", "-")
    assert again.stdout == file.read_bytes()


def test_a_closed_pipe_ends_the_export_without_an_error(swarm: Backend) -> None:
    done = through_head(swarm.environment, "export_zerglings -", 100)
    assert len(done.stdout) == 100
    assert done.stderr == b""
    assert done.returncode == 128 + signal.SIGPIPE


def test_a_truncated_file_changes_nothing(swarm: Backend, other: Backend, tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl"
    file.write_bytes(manage(swarm.environment, "export_zerglings", "-").stdout[:-10])
    said = failed(manage(other.environment, "import_zerglings", str(file)))
    assert f"line {SWARM + 2}: the file was cut off" in said
    assert "cut off" in failed(manage(other.environment, "import_zerglings", "--check", str(file)))
    with closing(other.open()) as store:
        assert everything(store) == {}


def test_a_truncated_compressed_file_is_detected(swarm: Backend, tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl.gz"
    succeeded(manage(swarm.environment, "export_zerglings", str(file)))
    file.write_bytes(file.read_bytes()[:-100])
    assert "the compressed file was cut off" in failed(
        manage({}, "import_zerglings", "--check", str(file))
    )
    file.write_bytes(b"\x1f\x8bno gzip at all")
    assert "cannot be read" in failed(manage({}, "import_zerglings", "--check", str(file)))


@pytest.mark.parametrize("name", ["file.jsonl", "file.jsonl.gz", "-"])
def test_an_export_that_failed_midway_is_never_taken_for_complete(
    couch: Backend, proxy: FaultProxy, other: Backend, tmp_path: Path, name: str
) -> None:
    fill(couch)
    file = tmp_path / "file.jsonl" if name == "-" else tmp_path / name
    environment = couch.through(proxy.url).environment
    proxy.fault = Fault(REFUSED, is_second_page)
    done = manage(environment, "export_zerglings", name if name == "-" else str(file))
    assert "the export stopped" in failed(done)
    if name == "-":
        file.write_bytes(done.stdout)
    assert "cut off" in failed(manage({}, "import_zerglings", "--check", str(file)))
    assert "cut off" in failed(manage(other.environment, "import_zerglings", str(file)))
    with closing(other.open()) as store:
        assert everything(store) == {}


def test_an_export_that_failed_midway_is_resumed(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    ids = fill(couch)
    file = str(tmp_path / "file.jsonl")
    environment = couch.through(proxy.url).environment
    proxy.fault = Fault(REFUSED, is_second_page)
    failed(manage(environment, "export_zerglings", file))
    proxy.fault = None
    said = succeeded(manage(environment, "export_zerglings", "--resume", file))
    assert f"holds {len(ids)} zerglings" in said
    assert "is complete" in succeeded(manage({}, "import_zerglings", "--check", file))


def test_different_documents_are_listed(backend: Backend, other: Backend, tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl"
    with closing(backend.open()) as store, closing(other.open()) as there:
        document = of_the_original(["M"])
        write(store, document)
        write(there, document | {"commandHistory": ["R"]})
    succeeded(manage(backend.environment, "export_zerglings", str(file)))
    said = failed(manage(other.environment, "import_zerglings", str(file)))
    assert "1 documents of the file differ" in said
    assert f"\n  {document['_id']}\n" in said


def test_missing_stores_and_files_are_reported(sqlite: Backend, tmp_path: Path) -> None:
    nowhere = {"OVERMIND_SQLITE_PATH": str(tmp_path / "none.sqlite3")}
    file = tmp_path / "file.jsonl"
    assert "run manage.py bootstrap_couch" in failed(manage(nowhere, "export_zerglings", str(file)))
    assert not file.exists()
    succeeded(manage(sqlite.environment, "export_zerglings", str(file)))
    assert "run manage.py bootstrap_couch" in failed(manage(nowhere, "import_zerglings", str(file)))
    assert "No such file" in failed(manage(sqlite.environment, "import_zerglings", "/none"))
    assert "No such file" in failed(manage(sqlite.environment, "export_zerglings", "/none/a"))
    assert "uncompressed" in failed(
        manage(sqlite.environment, "export_zerglings", "--resume", "a.gz")
    )
    assert manage(sqlite.environment, "import_zerglings").returncode == 2


def test_a_progress_bar_is_shown_on_a_terminal(swarm: Backend, tmp_path: Path) -> None:
    file = str(tmp_path / "file.jsonl")
    assert b"exporting: 100%" in on_a_terminal(swarm.environment, "export_zerglings", file)
    assert b"checking: 100%" in on_a_terminal({}, "import_zerglings", "--check", file)
