"""Tests for the cluster scripts, run with a fake kubectl that records its arguments."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from overmind_project.env import Environment
from tests.k8s.render import dig, name_of, overlays, render
from tests.support.service import ROOT

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
"""The directory with the python3 that the scripts use."""

STUB = """#!/bin/sh
printf '%s\\n' "$*" >> "{log}"
case "$*" in
  *"create --filename -"*) cat >> "{stdin}"; echo >> "{stdin}" ;;
  *"replace --filename -"*) cat > /dev/null ;;
  *"create namespace"*) exit {namespace_status} ;;
  *"get secret couchdb-password --output"*) printf %s "{password}" ;;
  *"get secret overmind-couchdb --output jsonpath={{.data."*) printf b2xk ;;
  *"get deployment overmind --output json"*) cat "{deployment}" ;;
  *"logs job/"*) echo retire: ok ;;
  *"get secret "*"--ignore-not-found"*) printf %s "{existing}" ;;
esac
"""


@dataclass(frozen=True)
class Ran:
    status: int
    output: str
    calls: list[str]
    sent: list[dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def run(
    folder: Path,
    script: str,
    *options: str,
    existing: str = "",
    namespace_status: int = 0,
    password: bytes = b"pass",
) -> Ran:
    """Run a script; the cluster's Deployment is ``folder / "deployment"``."""
    log, stdin, kubectl = folder / "log", folder / "stdin", folder / "kubectl"
    for file in (log, stdin):
        file.write_text("")
    kubectl.write_text(
        STUB.format(
            log=log,
            stdin=stdin,
            deployment=folder / "deployment",
            existing=existing,
            namespace_status=namespace_status,
            password=base64.b64encode(password).decode(),
        )
    )
    kubectl.chmod(0o755)
    done = subprocess.run(
        ["bash", str(ROOT / "k8s" / script), *options],
        env=os.environ | {"KUBECTL": str(kubectl), "NAMESPACE": "ours", "PATH": PATH},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    sent = [json.loads(line) for line in stdin.read_text().splitlines() if line]
    return Ran(done.returncode, done.stdout + done.stderr, log.read_text().splitlines(), sent)


def test_missing_secrets_are_created_without_printing_them(folder: Path) -> None:
    ran = run(folder, "secrets.sh")
    assert ran.status == 0, ran.output
    made = {each["metadata"]["name"]: each["stringData"] for each in ran.sent}
    assert {name: sorted(data) for name, data in made.items()} == {
        "couchdb-password": ["password"],
        "overmind-couchdb": ["password", "username"],
        "overmind": ["django-secret-key"],
        "couchdb-metrics": ["password", "username"],
        "couchdb-cluster": ["admin-hash", "cookie", "secret", "uuid"],
    }
    seen = ran.output + "".join(ran.calls)
    for name, data in made.items():
        for key, value in data.items():
            assert len(value) > 12
            assert key == "username" or value not in seen, (name, key)


@pytest.mark.parametrize(
    "stored",
    [
        b"pass",
        b"pass\n",
        b"pass\r\n",
        b"pass\r",
        b"\xef\xbb\xbfpass\r\n",
        b"pass\n\n",
        b"\n\xc3\xbc",
    ],
)
def test_the_password_is_hashed_exactly_as_the_service_reads_it(
    folder: Path, stored: bytes
) -> None:
    ran = run(folder, "secrets.sh", password=stored)
    assert ran.status == 0, ran.output
    (hashed,) = [
        data["stringData"]["admin-hash"] for data in ran.sent if "admin-hash" in data["stringData"]
    ]
    key, salt, iterations = hashed.removeprefix("-pbkdf2:sha256-").split(",")
    password = Environment({"P": stored.decode()}).secret("P").read().encode()
    wanted = hashlib.pbkdf2_hmac("sha256", password, salt.encode(), int(iterations))
    assert key == wanted.hex()


def test_a_password_of_only_a_line_end_is_rejected(folder: Path) -> None:
    ran = run(folder, "secrets.sh", password=b"\n")
    assert ran.status != 0
    assert [data for data in ran.sent if "admin-hash" in data["stringData"]] == []


def test_existing_secrets_are_never_changed(folder: Path) -> None:
    ran = run(folder, "secrets.sh", existing="secret/x")
    assert ran.status == 0, ran.output
    assert {call.split()[2] for call in ran.calls} == {"get"}


@pytest.mark.parametrize("overlay", overlays(), ids=lambda folder: folder.name)
def test_the_network_policies_allow_the_rotation_job(folder: Path, overlay: Path) -> None:
    objects = {name_of(each): each for each in render(overlay)}
    (folder / "deployment").write_text(json.dumps(objects["Deployment/overmind"]))
    ran = run(folder, "secrets.sh", "--rotate")
    assert ran.status == 0, ran.output
    (job,) = [each for each in ran.sent if each["kind"] == "Job"]
    labels = job["spec"]["template"]["metadata"]["labels"]

    def selects(*path: str, of: Any) -> bool:
        wanted = dig(of, *path, "matchLabels")
        return bool(wanted) and wanted.items() <= labels.items()

    assert selects("spec", "podSelector", of=objects["NetworkPolicy/overmind"])
    into_couchdb = objects["NetworkPolicy/couchdb"]["spec"]["ingress"][0]
    assert selects("podSelector", of=into_couchdb["from"][0])
    assert not objects["Service/overmind"]["spec"]["selector"].items() <= labels.items()
    # A sidecar would go on when the job is done, and keep it from ending.
    assert labels["sidecar.istio.io/inject"] == "false"
    annotations = job["spec"]["template"]["metadata"]["annotations"]
    assert annotations["linkerd.io/inject"] == "disabled"


@pytest.mark.parametrize("script", ["e2e.sh", "e2e_production.sh"])
def test_an_existing_namespace_is_never_deleted(folder: Path, script: str) -> None:
    ran = run(folder, script, namespace_status=1)
    assert ran.status != 0
    assert "choose another NAMESPACE" in ran.output
    assert not [call for call in ran.calls if "delete" in call]
