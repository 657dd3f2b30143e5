"""Rules for the manifests, as functions from rendered objects to error messages.

Each rule takes all objects of an overlay and returns messages that name the object and, if there is
one, the container. An empty result means that the rule holds. This module renders nothing and reads
no files.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.urls import Resolver404, resolve

from overmind_project import __version__, env, gunicorn_conf, settings
from tests.k8s import availability, network
from tests.k8s.availability import OURS, Rule
from tests.k8s.render import (
    Container,
    Objects,
    Pod,
    containers,
    dig,
    name_of,
    pods,
    selectors,
    strings,
)

ADMIN_SECRETS = {"couchdb-password", "couchdb-cluster"}
PROBES = {"startupProbe": "/readyz", "readinessProbe": "/healthz", "livenessProbe": "/healthz"}
SELECTOR_KEYS = {"app", "tier"}
KUBERNETES_GRACE_SECONDS = 30  # where a pod names none

_SECRET_NAME = re.compile(r"(PASSWORD|SECRET|TOKEN|COOKIE|KEY)$", re.IGNORECASE)
_SECRET_LINE = re.compile(
    r"^\s*[\w.-]*(?:password|secret|token|cookie|key)\s*[=:]\s*[^\s$%{]",
    re.IGNORECASE | re.MULTILINE,
)
_ACCOUNT_IN_URL = re.compile(r"://[^\s/:@]*:[^\s/@]+@")


def containers_have_requests_and_limits(objects: Objects) -> list[str]:
    return [
        f"{container}: no {kind} of {resource}"
        for container in containers(objects)
        for kind in ("requests", "limits")
        for resource in ("cpu", "memory")
        if not dig(container.spec, "resources", kind, resource)
    ]


def containers_run_as_a_numeric_non_root_user(objects: Objects) -> list[str]:
    def is_good(container: Container) -> bool:
        user = container.security("runAsUser")
        return container.security("runAsNonRoot") is True and type(user) is int and user > 0

    return _all(objects, is_good, "may run as root, or its user has no number")


def root_file_systems_are_read_only(objects: Objects) -> list[str]:
    return _all(
        objects, lambda c: c.own_security("readOnlyRootFilesystem") is True, "can write to its root"
    )


def privilege_escalation_is_disabled(objects: Objects) -> list[str]:
    def is_good(container: Container) -> bool:
        grows = container.own_security("allowPrivilegeEscalation")
        return grows is False and not container.own_security("privileged")

    return _all(objects, is_good, "can gain privileges")


def capabilities_are_dropped(objects: Objects) -> list[str]:
    def is_good(container: Container) -> bool:
        capabilities: Mapping[str, list[str]] = container.own_security("capabilities") or {}
        return "ALL" in (capabilities.get("drop") or ()) and not capabilities.get("add")

    return _all(objects, is_good, "keeps capabilities")


def seccomp_is_enabled(objects: Objects) -> list[str]:
    def is_good(container: Container) -> bool:
        profile = container.security("seccompProfile") or {}
        return bool(profile.get("type") == "RuntimeDefault")

    return _all(objects, is_good, "is not under the seccomp profile RuntimeDefault")


def no_service_account_token_is_mounted(objects: Objects) -> list[str]:
    accounts = [found for found in objects if found["kind"] == "ServiceAccount"]
    holders = [(name_of(found), found) for found in accounts]
    holders += [(pod.name, pod.spec) for pod in pods(objects)]
    return [
        f"{name}: automountServiceAccountToken is not false"
        for name, spec in holders
        if spec.get("automountServiceAccountToken") is not False
    ]


def no_secret_is_in_a_manifest(objects: Objects) -> list[str]:
    found = [f"{name_of(each)}: a Secret" for each in objects if each["kind"] == "Secret"]
    for container in containers(objects):
        found += [
            f"{container}: {variable['name']} has its value in the manifest"
            for variable in container.spec.get("env", [])
            if _SECRET_NAME.search(variable["name"]) and "value" in variable
        ]
    for each in objects:
        data = each.get("data", {}) if each["kind"] == "ConfigMap" else {}
        found += [
            f"{name_of(each)}: {key} holds what looks like a secret"
            for key, value in data.items()
            if _SECRET_NAME.search(key) or _SECRET_LINE.search(value)
        ]
        if any(_ACCOUNT_IN_URL.search(text) for text in strings(each)):
            found.append(f"{name_of(each)}: a URL with a password")
    return found


def images_are_pinned(objects: Objects) -> list[str]:
    def is_good(container: Container) -> bool:
        return bool(container.digest) or container.tag not in ("", "latest")

    return _all(objects, is_good, "its image has neither a digest nor a tag other than latest")


def our_images_are_of_this_version(objects: Objects) -> list[str]:
    def is_good(container: Container) -> bool:
        return (
            container.repository != OURS or bool(container.digest) or container.tag == __version__
        )

    return _all(objects, is_good, f"its image is not of version {__version__}")


def selectors_use_only_app_and_tier(objects: Objects) -> list[str]:
    """Selectors are immutable, so they use only the two labels of the first release."""
    every_pod = list(pods(objects))
    own = {pod.name: [pod] for pod in every_pod}
    complaints = []
    for each in objects:
        name = name_of(each)
        for where, selector in selectors(each):
            if each["kind"] == "NetworkPolicy" and not selector:
                continue  # every pod is meant
            # A workload's selectors select its own pods, all others those of any workload.
            wrong = _wrong_selector(selector, own.get(name, every_pod))
            complaints += [f"{name}: {where} {wrong}"] if wrong else []
        labels = dig(each, "spec", "selector", "matchLabels")
        if name in own and labels is not None and labels.keys() != SELECTOR_KEYS:
            complaints.append(f"{name}: its selector is not of both app and tier")
    return complaints


def probes_request_existing_urls(objects: Objects) -> list[str]:
    """Only the startup probe asks the store: an outage must not empty the Service."""
    complaints = []
    for container in _serving(objects):
        for probe, wanted in PROBES.items():
            path = dig(container.spec, probe, "httpGet", "path")
            if path != wanted:
                complaints.append(f"{container}: {probe} asks {path}, not {wanted}")
            if path is not None and not _is_url(path):
                complaints.append(f"{container}: {probe} asks {path}, which no URL answers")
    return complaints or _absent(objects)


def pods_have_time_to_stop(objects: Objects) -> list[str]:
    complaints = []
    for container in containers(objects, init=False):
        pause = _seconds_before_stop(container)
        if pause is None:
            complaints.append(f"{container}: preStop is not an exec of sleep and a number")
            continue
        stop = gunicorn_conf.graceful_timeout if container.name == OURS else 0
        grace = container.pod.spec.get("terminationGracePeriodSeconds", KUBERNETES_GRACE_SECONDS)
        if grace <= pause + stop:
            complaints.append(f"{container}: {grace} s are not more than {pause} s + {stop} s")
    return complaints


def the_web_container_has_no_admin_credentials(objects: Objects) -> list[str]:
    """Neither in variables nor in volumes that it mounts, projected ones included."""
    complaints = []
    for container in _serving(objects):
        mounted = {mount["name"] for mount in container.spec.get("volumeMounts", [])}
        volumes = [
            volume
            for volume in container.pod.spec.get("volumes", [])
            if volume["name"] in mounted or "projected" in volume
        ]
        seen = ADMIN_SECRETS.intersection(strings([container.spec, volumes]))
        complaints += [f"{container}: refers to {secret}" for secret in sorted(seen)]
        complaints += [
            f"{container}: {variable} is the admin's"
            for variable in _variables(container, objects)
            if variable.startswith("COUCHDB_ADMIN_")
        ]
    return complaints or _absent(objects)


def variables_are_known_to_the_settings(objects: Objects) -> list[str]:
    """Variables from a whole Secret are not checked: their names are not in the manifests."""
    known = known_variables()
    return [
        f"{container}: {variable} means nothing to the settings"
        for container in containers(objects)
        if container.repository == OURS
        for variable in _variables(container, objects)
        if variable not in known
    ]


RULES: tuple[Rule, ...] = (
    containers_have_requests_and_limits,
    containers_run_as_a_numeric_non_root_user,
    root_file_systems_are_read_only,
    privilege_escalation_is_disabled,
    capabilities_are_dropped,
    seccomp_is_enabled,
    no_service_account_token_is_mounted,
    no_secret_is_in_a_manifest,
    images_are_pinned,
    our_images_are_of_this_version,
    selectors_use_only_app_and_tier,
    probes_request_existing_urls,
    pods_have_time_to_stop,
    the_web_container_has_no_admin_credentials,
    variables_are_known_to_the_settings,
    *availability.RULES,
    *network.RULES,
)


def _all(objects: Objects, is_good: Callable[[Container], bool], complaint: str) -> list[str]:
    return [f"{each}: {complaint}" for each in containers(objects) if not is_good(each)]


def _serving(objects: Objects) -> list[Container]:
    return [each for each in containers(objects) if each.name == OURS]


def _absent(objects: Objects) -> list[str]:
    return [] if _serving(objects) else [f"there is no container {OURS}"]


def _is_url(path: str) -> bool:
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


def _wrong_selector(selector: Mapping[str, Any], candidates: Iterable[Pod]) -> str:
    labels = selector.get("matchLabels", {} if "matchExpressions" in selector else selector)
    if "matchExpressions" in selector or not labels.keys() <= SELECTOR_KEYS:
        return "selects by more than app and tier"
    if not any(pod.is_selected_by(labels) for pod in candidates):
        return f"selects no pod by {dict(labels)}"
    return ""


def _seconds_before_stop(container: Container) -> int | None:
    hook = dig(container.spec, "lifecycle", "preStop")
    if hook is None:
        return None if container.name == OURS else 0
    match dig(hook, "exec", "command"):
        case ["sleep", str(seconds)] if seconds.isdecimal():
            return int(seconds)
    return None


def _variables(container: Container, objects: Objects) -> list[str]:
    """Return the names in ``env``, and those that come from a ConfigMap of the same overlay."""
    names = [variable["name"] for variable in container.spec.get("env", [])]
    maps = {each["metadata"]["name"]: each for each in objects if each["kind"] == "ConfigMap"}
    for source in container.spec.get("envFrom", []):
        data = dig(maps.get(dig(source, "configMapRef", "name")), "data") or {}
        names += [source.get("prefix", "") + key for key in data]
    return names


@cache
def known_variables() -> frozenset[str]:
    """Return every variable that the settings read."""
    asked: set[str] = set()

    class Asked(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.add(name)
            return super().get(name, default)

    # Which variables are read depends on others: the port is read only with a host.
    for given in ({}, {"COUCHDB_SERVICE_HOST": "couchdb"}):
        with patch.object(env, "os", SimpleNamespace(environ=Asked(given))):
            runpy.run_path(settings.__file__)
    return frozenset(asked)
