"""Tests for the CI workflow and the dependency updater's configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.supply.requirements import SOURCES
from tests.support.service import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]

PERMISSIONS = {
    ("release.yaml", "image"): {"contents": "read", "packages": "write", "id-token": "write"},
}
"""The jobs that may do more than read."""

Object = dict[str, Any]

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def workflow(path: Any) -> Object:
    found: Object = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def steps() -> Iterator[tuple[str, Object]]:
    for path in WORKFLOWS:
        for name, job in workflow(path)["jobs"].items():
            for step in job.get("steps", ()):  # a job may call another workflow instead
                yield f"{path.name}: {name}", step


@each_workflow
def test_workflows_have_read_permission_and_a_timeout(path: Any) -> None:
    found = workflow(path)
    assert found["permissions"] == {"contents": "read"}
    assert found["concurrency"]["group"]
    for name, job in found["jobs"].items():
        if "uses" in job:
            assert job.keys() <= {"uses", "needs"}, name
            continue
        assert 0 < job["timeout-minutes"] <= 60, name
        assert job.get("permissions", {}) == PERMISSIONS.get((path.name, name), {}), name
        assert "latest" not in job["runs-on"], name


def test_actions_are_pinned_by_commit_and_get_no_credentials() -> None:
    used = [(where, step) for where, step in steps() if "uses" in step]
    assert used
    for where, step in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]), where
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, where


def test_everything_runs_on_every_supported_python() -> None:
    (job,) = [
        job
        for path in WORKFLOWS
        for job in workflow(path)["jobs"].values()
        if "matrix" in job.get("strategy", {})
    ]
    assert job["strategy"]["matrix"]["python"] == PYTHONS
    assert job["steps"][-1]["run"] == ".ci/run"
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={PYTHONS[0]}"' in project


def test_the_workflow_also_runs_with_couchdb() -> None:
    jobs = [job for path in WORKFLOWS for job in workflow(path)["jobs"].values()]
    (job,) = [job for job in jobs if "couchdb" in job.get("services", {})]
    service, last = job["services"]["couchdb"], job["steps"][-1]
    assert re.fullmatch(r"couchdb:3\.[.\d]+(@sha256:[0-9a-f]{64})?", service["image"])
    account = f"{service['env']['COUCHDB_USER']}:{service['env']['COUCHDB_PASSWORD']}"
    assert last["run"] == ".ci/run"
    assert last["env"]["COUCHDB_TEST_URL"] == f"http://{account}@localhost:5984"


def test_the_last_tested_couchdb_version_is_used_everywhere() -> None:
    (job,) = [
        job for path in WORKFLOWS for job in workflow(path)["jobs"].values() if "services" in job
    ]
    compose = workflow(ROOT / "docker-compose.yaml")["services"]["couchdb"]["image"]
    (kept,) = [
        image["newTag"]
        for image in workflow(ROOT / "k8s/base/kustomization.yaml")["images"]
        if image["name"] == "couchdb"
    ]
    page = (ROOT / "docs/bootstrap.md").read_text(encoding="utf-8")
    (tested,) = re.findall(r"(?m)^\| ([\d.]+) \| supported; last tested\. ", page)
    images = [job["services"]["couchdb"]["image"], compose]
    assert [image.partition("@")[0] for image in images] == [f"couchdb:{tested}"] * 2
    assert kept == tested
    assert job["name"] == f"CouchDB {tested.rpartition('.')[0]}"


def test_an_image_is_published_only_after_all_checks() -> None:
    jobs = workflow(ROOT / ".github/workflows/release.yaml")["jobs"]
    (called,) = [name for name, job in jobs.items() if job.get("uses", "").endswith("/check.yaml")]
    publishing = [name for file, name in PERMISSIONS if file == "release.yaml"]
    assert {jobs[name]["needs"] for name in publishing} == {called}
    check = (ROOT / ".github/workflows/check.yaml").read_text(encoding="utf-8")
    assert "\n  workflow_call:" in check


def test_no_two_workflows_wait_for_each_other() -> None:
    """A called workflow has the caller's `github.workflow`: a shared group would wait for ever."""
    groups = [workflow(path)["concurrency"]["group"] for path in WORKFLOWS]
    assert len(set(groups)) == len(groups)


def test_jobs_that_run_everything_fetch_all_tags() -> None:
    for path in WORKFLOWS:
        for name, job in workflow(path)["jobs"].items():
            if any(step.get("run") == ".ci/run" for step in job.get("steps", ())):
                assert job["steps"][0]["with"]["fetch-depth"] == 0, name


def test_the_updater_covers_every_lock_file() -> None:
    settings = json.loads((ROOT / "renovate.json").read_text(encoding="utf-8"))
    (pattern,) = settings["pip-compile"]["managerFilePatterns"]
    for source in SOURCES:
        lock = str(source.with_suffix(".txt").relative_to(ROOT))
        assert re.search(pattern.strip("/"), lock), lock
    wanted = {"pip-compile", "dockerfile", "github-actions", "npm"}
    assert set(settings["enabledManagers"]) >= wanted
    named = {name for rule in settings["packageRules"] for name in rule.get("matchFileNames", ())}
    assert named <= {str(source.relative_to(ROOT)) for source in SOURCES}
