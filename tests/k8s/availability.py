"""Rules that keep the service available during rollouts, drains and outages of a zone.

They are functions like those of ``rules``, which contains them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.k8s.render import Objects, dig, name_of, pods

Rule = Callable[[Objects], list[str]]

OURS = "overmind"
"""The name of our image's repository, of the container that serves, and of its label ``app``."""

SPREAD = {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}

REVISION = ["pod-template-hash"]
"""The label that tells the revisions of a Deployment apart."""

_HASHED_NAME = re.compile(r"-[2456789bcdfghkmt]{10}$")  # as kustomize writes it


def rollouts_keep_every_pod_available(objects: Objects) -> list[str]:
    complaints = []
    for each in objects:
        if each["kind"] != "Deployment":
            continue
        strategy = each["spec"].get("strategy", {})
        if dig(strategy, "rollingUpdate", "maxUnavailable") not in (0, "0%"):
            complaints.append(f"{name_of(each)}: maxUnavailable is not 0")
        if not each["spec"].get("minReadySeconds"):
            complaints.append(f"{name_of(each)}: minReadySeconds is not above 0")
    return complaints


def no_disruption_budget_blocks_a_single_pod(objects: Objects) -> list[str]:
    """With one pod, a budget has no effect or blocks every drain of a node."""
    single = [pod for pod in pods(objects) if pod.kind == "StatefulSet" and pod.replicas <= 1]
    return [
        f"{name_of(each)}: is for {pod.name}, which has one replica"
        for each in objects
        if each["kind"] == "PodDisruptionBudget"
        for pod in single
        if pod.is_selected_by(dig(each, "spec", "selector", "matchLabels") or {})
    ]


def replicas_spread_over_zones_and_machines(objects: Objects) -> list[str]:
    """During a rollout the pods of a Deployment's old revision do not count: they are to stop."""
    complaints = []
    for pod in pods(objects):
        if pod.kind == "Deployment" or pod.replicas > 1:
            constraints = pod.spec.get("topologySpreadConstraints", [])
            spread = {each["topologyKey"] for each in constraints}
            complaints += [f"{pod.name}: not spread by {key}" for key in sorted(SPREAD - spread)]
            complaints += [
                f"{pod.name}: its old pods count in the spread by {each['topologyKey']}"
                for each in constraints
                if pod.kind == "Deployment" and each.get("matchLabelKeys") != REVISION
            ]
    return complaints


def changed_settings_restart_their_pods(objects: Objects) -> list[str]:
    """A pod mounts a ConfigMap under a name that contains a hash of its content."""
    return [
        f"{pod.name}: the name of the ConfigMap {name} has no hash"
        for pod in pods(objects)
        for volume in pod.spec.get("volumes", [])
        for name in [dig(volume, "configMap", "name")]
        if name is not None and not _HASHED_NAME.search(name)
    ]


def pods_that_are_not_ready_do_not_block_a_drain(objects: Objects) -> list[str]:
    """This is for the service, whose pods hold no data."""
    return [
        f"{name_of(each)}: unhealthyPodEvictionPolicy is not AlwaysAllow"
        for each in objects
        if each["kind"] == "PodDisruptionBudget"
        and dig(each, "spec", "selector", "matchLabels", "app") == OURS
        and dig(each, "spec", "unhealthyPodEvictionPolicy") != "AlwaysAllow"
    ]


def volumes_are_retained(objects: Objects) -> list[str]:
    return [
        f"{name_of(each)}: {event} does not retain the volumes"
        for each in objects
        if each["kind"] == "StatefulSet"
        for event in ("whenDeleted", "whenScaled")
        if dig(each, "spec", "persistentVolumeClaimRetentionPolicy", event) != "Retain"
    ]


RULES: tuple[Rule, ...] = (
    rollouts_keep_every_pod_available,
    no_disruption_budget_blocks_a_single_pod,
    replicas_spread_over_zones_and_machines,
    changed_settings_restart_their_pods,
    pods_that_are_not_ready_do_not_block_a_drain,
    volumes_are_retained,
)
