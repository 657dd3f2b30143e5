"""The rule that says who may connect to CouchDB.

It is a function like those of ``rules``, which contains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.k8s.availability import Rule
from tests.k8s.render import Objects, Pod, dig, name_of, pods


def only_named_pods_connect_to_couchdb(objects: Objects) -> list[str]:
    """Every pod of CouchDB has a network policy, and each ingress rule says who may connect."""
    complaints = []
    for pod in pods(objects):
        if pod.labels.get("app") != "couchdb":
            continue
        policies = [each for each in objects if _restricts_ingress(each, pod)]
        complaints += [] if policies else [f"{pod.name}: no network policy restricts its ingress"]
        complaints += [
            f"{name_of(policy)}: an ingress rule lets every pod connect to {pod.name}"
            for policy in policies
            for rule in policy["spec"].get("ingress", [])
            if not rule.get("from") or not all(map(_names_pods, rule["from"]))
        ]
    return complaints


RULES: tuple[Rule, ...] = (only_named_pods_connect_to_couchdb,)


def _restricts_ingress(found: Mapping[str, Any], pod: Pod) -> bool:
    if found["kind"] != "NetworkPolicy":
        return False
    if "Ingress" not in found["spec"].get("policyTypes", ["Ingress"]):
        return False
    labels = dig(found, "spec", "podSelector", "matchLabels")
    return not labels or pod.is_selected_by(labels)  # without labels every pod is meant


def _names_pods(peer: Mapping[str, Any]) -> bool:
    return any(dig(peer, key, "matchLabels") for key in ("podSelector", "namespaceSelector"))
