"""Tests for what a release publishes, how it is signed, and how the pages verify it."""

from __future__ import annotations

import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from string import Template

import pytest
import yaml

from overmind_project import __version__
from tests.support.pages import PAGES
from tests.support.service import ROOT

WORKFLOW = ".github/workflows/release.yaml"
PLATFORMS = "linux/amd64,linux/arm64"
IMAGE = "registry.example/overmind"
SERVER, REPOSITORY = "https://git.example", "owner/overmind"
DIGEST_FILE = "build/image.json"

VERIFYING = [page for page in PAGES if "cosign verify" in page.read_text(encoding="utf-8")]


def joined(script: str) -> list[str]:
    """Return the lines of a shell script, each continued one as a single line."""
    return [line.strip() for line in script.replace("\\\n", "").splitlines()]


def published() -> list[str]:
    """Return the arguments of the command with which `make publish` builds and pushes."""
    printed = subprocess.run(
        ["make", "--dry-run", "publish", f"IMAGE={IMAGE}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (build,) = [line for line in joined(printed.stdout) if line.startswith("docker ")]
    return shlex.split(build)


def released() -> list[str]:
    """Return the commands of the job that publishes, none of which may be skipped or fail."""
    job = yaml.safe_load((ROOT / WORKFLOW).read_text(encoding="utf-8"))["jobs"]["image"]
    for part in (job, *job["steps"]):
        assert not part.keys() & {"if", "continue-on-error"}, part
    return [line for step in job["steps"] for line in joined(step.get("run", ""))]


def after(words: list[str], option: str) -> str:
    """Return the only value of an option."""
    (found,) = [value for word, value in pairwise(words) if word == option]
    return found


def certificate(verify: list[str]) -> dict[str, str]:
    """Return what a command demands of the certificate: its identity and its issuer."""
    return {
        option: after(verify, option)
        for option in ("--certificate-identity", "--certificate-oidc-issuer")
    }


def test_an_image_is_published_for_both_platforms_with_sbom_and_provenance() -> None:
    words = published()
    assert words[:3] == ["docker", "buildx", "build"]
    assert after(words, "--platform") == PLATFORMS
    assert after(words, "--tag") == f"{IMAGE}:{__version__}"
    attested = [word for word in words if word.startswith(("--sbom", "--provenance"))]
    assert attested == ["--sbom=true", "--provenance=mode=max"]
    assert "--push" in words


def test_the_image_starts_on_each_platform_before_it_is_published() -> None:
    lines = released()
    start = lines.index(f"for platform in {PLATFORMS.replace(',', ' ')}; do")
    assert lines[start + 2] == 'tests/supply/start_image.sh overmind:started "$platform"'
    assert start < lines.index('make publish IMAGE="$IMAGE"')


def test_the_published_image_is_signed_and_then_verified() -> None:
    kept = [line for line in released() if line.startswith(("make ", "image=", "cosign "))]
    push, image, sign, verify = kept
    assert push == 'make publish IMAGE="$IMAGE"'
    assert after(published(), "--metadata-file") == DIGEST_FILE
    assert image.startswith("image=$IMAGE@$(jq ")
    assert image.endswith(f" '.\"containerimage.digest\"' {DIGEST_FILE})")
    assert sign == 'cosign sign --yes "$image"'
    assert verify.startswith('cosign verify "$image" --certificate-identity ')


def test_security_says_how_to_verify_an_image() -> None:
    assert ROOT / "SECURITY.md" in VERIFYING


@pytest.mark.parametrize("path", VERIFYING, ids=lambda path: path.name)
def test_a_page_demands_the_certificate_of_the_workflow(path: Path) -> None:
    (line,) = [line for line in released() if line.startswith("cosign verify ")]
    reference = f"{REPOSITORY}/{WORKFLOW}@refs/tags/v{__version__}"
    variables = {"GITHUB_SERVER_URL": SERVER, "GITHUB_WORKFLOW_REF": reference}
    demanded = {
        option: Template(value).substitute(variables)
        for option, value in certificate(shlex.split(line)).items()
    }
    text = path.read_text(encoding="utf-8").replace("\n> ", "\n")
    (command,) = [each for each in joined(text) if each.startswith("$ cosign verify ")]
    verify = shlex.split(command.replace("REPOSITORY", f"{SERVER}/{REPOSITORY}"))
    assert after(verify, "verify") == f"IMAGE:{__version__}"
    assert certificate(verify) == demanded
