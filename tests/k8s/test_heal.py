"""Tests for the job of the heal component."""

from __future__ import annotations

import json
from pathlib import Path

from tests.k8s.components import Object, each_overlay, with_components
from tests.k8s.render import containers, dig, find
from zerglings.storage.regions.exchange import WAIT_LIMIT

EXCHANGES, DATABASES, DIRECTIONS = 3, 2, 2
"""What one heal waits for, for each other region."""


def job(overlay: Path) -> Object:
    spec: Object = find(with_components(overlay, "heal"), "CronJob/overmind-heal")["spec"]
    return spec


@each_overlay
def test_only_one_heal_runs_at_a_time(overlay: Path) -> None:
    assert job(overlay)["concurrencyPolicy"] == "Forbid"


@each_overlay
def test_the_job_has_time_to_wait_for_three_other_regions(overlay: Path) -> None:
    longest = 3 * EXCHANGES * DATABASES * DIRECTIONS * WAIT_LIMIT
    assert dig(job(overlay), "jobTemplate", "spec", "activeDeadlineSeconds") > 2 * longest


@each_overlay
def test_the_job_signs_in_as_the_admin(overlay: Path) -> None:
    (container,) = dig(job(overlay), "jobTemplate", "spec", "template", "spec", "containers")
    assert container["command"] == ["python", "manage.py", "heal"]
    variables = {each["name"]: each for each in container["env"]}
    password = dig(variables["COUCHDB_ADMIN_PASSWORD"], "valueFrom", "secretKeyRef")
    assert password == {"name": "couchdb-password", "key": "password"}
    assert "COUCHDB_PASSWORD" not in variables


@each_overlay
def test_the_job_runs_the_image_that_the_overlay_gives_the_service(overlay: Path) -> None:
    images = [{"name": "overmind", "newName": "registry.example/ours", "newTag": "3.1.0"}]
    objects = with_components(overlay, "heal", more=json.dumps({"images": images}))
    found = {
        each.spec["image"] for each in containers(objects) if each.name in ("overmind", "heal")
    }
    assert found == {"registry.example/ours:3.1.0"}


@each_overlay
def test_no_sidecar_keeps_the_job_running(overlay: Path) -> None:
    metadata = dig(job(overlay), "jobTemplate", "spec", "template", "metadata")
    assert metadata["labels"]["sidecar.istio.io/inject"] == "false"
    assert metadata["annotations"]["linkerd.io/inject"] == "disabled"
