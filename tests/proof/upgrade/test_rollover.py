"""Tests an upgrade from the previous release and the way back, on one database and under load.

Old and new pods serve together while a Deployment rolls, each after its own init container.
OVERMIND_STRESS=1 runs each stage with its full length and load.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from overmind_project import __version__
from tests.proof.load.ledger import Fate
from tests.proof.load.swarm import EXPECTED, Swarm
from tests.proof.load.verdict import check
from tests.proof.upgrade import release
from tests.proof.upgrade.release import Release, Unavailable, previous, unsatisfied
from tests.support.backends import Backend, erased
from tests.support.service import Service
from tests.support.waiting import wait_until

logger = logging.getLogger(__name__)

IS_STRESS = os.environ.get("OVERMIND_STRESS") == "1"
IS_CI = bool(os.environ.get("CI"))
CLIENTS, ZERGLINGS, DEATHS = (64, 40, 0.004) if IS_STRESS else (4, 6, 0.02)

STAGE_SECONDS = 20.0 if IS_STRESS else 0.2
"""Minimum seconds for which old and new serve together between two changes."""

STAGE_ACKNOWLEDGED = 1500 if IS_STRESS else 40
"""Minimum number of commands acknowledged in that time."""

FAILED = {None, 409, 503}
"""Statuses that only a faulty service returns; None is a lost response."""

THIS = Release("this release")


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Release:
    try:
        return previous(tmp_path_factory.mktemp("previous"), may_install=IS_STRESS or IS_CI)
    except Unavailable as error:
        if IS_CI:
            pytest.fail(f"the previous release cannot be tested: {error}")
        pytest.skip(f"ROLLING FROM THE PREVIOUS RELEASE IS NOT TESTED: {error}")


@dataclass
class Pod:
    """One replica: its init container has run, and its service answers."""

    release: Release
    service: Service


class Deployment:
    """Replicas of one release or the other over one store, replaced one by one under load."""

    def __init__(self, backend: Backend, directory: Path) -> None:
        self._environment = backend.environment
        self._directory = directory
        self._started = 0
        self._stopping: list[Future[None]] = []
        self._background = ThreadPoolExecutor()
        self.pods: list[Pod] = []

    @property
    def services(self) -> list[Service]:
        return [pod.service for pod in self.pods]

    def start(self, release: Release) -> None:
        """Run the init container, then start a pod and wait until it answers."""
        release.bootstrap(self._environment)
        self._started += 1
        place = self._directory / f"pod-{self._started}"
        place.mkdir()
        self.pods.append(Pod(release, release.serve(self._environment, place)))

    def replace_one(self, release: Release, swarm: Swarm) -> None:
        """Replace the oldest pod as a rolling update does: first one more, then one less.

        As behind a Service, no request is sent to a pod that is about to be told to stop: every
        client has turned to the others by then.
        """
        self.start(release)
        swarm.send_to(self.services)
        serve_together(swarm)
        leaving = self.pods.pop(0)
        swarm.send_to(self.services)
        swarm.wait_for_round()
        self._tell_to_stop(leaving)

    def stop(self) -> None:
        """Stop all pods; fail if one that got SIGTERM before did not stop in time."""
        while self.pods:
            self._tell_to_stop(self.pods.pop())
        self._background.shutdown()
        for stopping in self._stopping:
            stopping.result()

    def _tell_to_stop(self, pod: Pod) -> None:
        """Send SIGTERM without waiting; the other pods continue."""
        self._stopping.append(self._background.submit(pod.service.stop))


@pytest.fixture
def deployment(backend: Backend, old: Release, tmp_path: Path) -> Iterator[Deployment]:
    """Two pods of the previous release, on a store that only it has bootstrapped."""
    erased(backend)
    deployment = Deployment(backend, tmp_path)
    with ExitStack() as stack:
        stack.callback(deployment.stop)
        deployment.start(old)
        deployment.start(old)
        yield deployment


def serve_together(swarm: Swarm) -> None:
    end = time.monotonic() + STAGE_SECONDS
    swarm.wait_for_more(STAGE_ACKNOWLEDGED)
    wait_until(lambda: time.monotonic() >= end, "the stage is over")


def test_a_rolling_upgrade_and_downgrade_lose_and_fail_nothing(
    deployment: Deployment, old: Release, backend: Backend
) -> None:
    swarm = Swarm(deployment.services, clients=CLIENTS, zerglings=ZERGLINGS, deaths=DEATHS)
    stages = []
    with swarm.run():
        for wanted in (THIS, THIS, old, old):
            serve_together(swarm)
            deployment.replace_one(wanted, swarm)
            stages.append([pod.release for pod in deployment.pods])
        serve_together(swarm)
    assert stages == [[old, THIS], [THIS, THIS], [THIS, old], [old, old]]
    ledger = swarm.ledger
    failed = {status: count for status, count in ledger.statuses.items() if status in FAILED}
    assert failed == {}
    verdict = check(swarm, backend)
    assert verdict.is_clean(), verdict
    assert ledger.complaints == []
    assert set(ledger.statuses) <= EXPECTED
    assert ledger.fates[Fate.UNKNOWN] == 0
    assert ledger.acknowledged >= 5 * STAGE_ACKNOWLEDGED
    assert ledger.deaths > 0
    logger.info("from %s: %d acknowledged", old.name, ledger.acknowledged)


def git(directory: Path, *arguments: str) -> str:
    names = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    command = ["git", "-C", str(directory), *names, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with three commits; the second one is configured as the previous release."""
    place = tmp_path / "history"
    place.mkdir()
    git(place, "init", "--quiet")
    for number in range(3):
        (place / "requirements.txt").write_text(f"# {number}\n")
        git(place, "add", ".")
        git(place, "commit", "--quiet", "--message", str(number))
    named = tmp_path / "previous-release"
    named.write_text(git(place, "rev-parse", "HEAD^") + "\n")
    monkeypatch.setattr(release, "ROOT", place)
    monkeypatch.setattr(release, "NAMED", named)
    return place


def requirements_of_previous(directory: Path) -> str:
    checkout = previous(directory / "previous", may_install=False).checkout
    return (checkout / "requirements.txt").read_text()


def test_the_previous_release_is_the_newest_tag_of_another_version(
    history: Path, tmp_path: Path
) -> None:
    git(history, "tag", "v0.1", "HEAD^^")
    git(history, "tag", f"v{__version__}", "HEAD")
    assert requirements_of_previous(tmp_path) == "# 0\n"


def test_the_previous_release_is_the_configured_commit_without_tags(
    history: Path, tmp_path: Path
) -> None:
    assert requirements_of_previous(tmp_path) == "# 1\n"


def test_a_shallow_clone_is_reported(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", history.as_uri(), str(shallow))
    monkeypatch.setattr(release, "ROOT", shallow)
    with pytest.raises(Unavailable, match="fetch-depth: 0"):
        previous(tmp_path / "previous", may_install=False)


def test_requirements_of_a_release_are_compared_with_installed_packages() -> None:
    assert unsatisfied("# none\n\npytest>=1  # a remark\nno-such-package; sys_platform=='x'") == []
    assert unsatisfied("pytest==0.1 \\\n    --hash=sha256:0\nno-such-package==1") == [
        "pytest==0.1",
        "no-such-package==1",
    ]
