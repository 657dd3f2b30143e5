"""Reads the files of the monitoring component and the alerts in them."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.service import ROOT

COMPONENT = ROOT / "k8s" / "components" / "monitoring"
DASHBOARD = COMPONENT / "overmind-dashboard.json"
RULES = COMPONENT / "overmind-prometheusrule.yaml"


def alerts() -> list[dict[str, Any]]:
    """Return all alerting rules."""
    rules: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return [rule for group in rules["spec"]["groups"] for rule in group["rules"]]
