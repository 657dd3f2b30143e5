"""Environment variables that Kubernetes injects into a container for each Service.

https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables; which
variables there are is in ``pkg/kubelet/envvars`` of Kubernetes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

NAME = "(?P<service>[A-Z0-9](?:[A-Z0-9_]*[A-Z0-9])?)"
"""A Service's name in a variable: upper case, with _ for -."""

FORMS = {
    rf"{NAME}_SERVICE_HOST": "10.0.0.2",
    rf"{NAME}_SERVICE_PORT": "5984",
    rf"{NAME}_SERVICE_PORT_[A-Z0-9_]+": "5984",
    rf"{NAME}_PORT": "tcp://10.0.0.2:5984",
    rf"{NAME}_PORT_[0-9]+_(TCP|UDP|SCTP)": "tcp://10.0.0.2:5984",
    rf"{NAME}_PORT_[0-9]+_(TCP|UDP|SCTP)_PROTO": "tcp",
    rf"{NAME}_PORT_[0-9]+_(TCP|UDP|SCTP)_PORT": "5984",
    rf"{NAME}_PORT_[0-9]+_(TCP|UDP|SCTP)_ADDR": "10.0.0.2",
}


def injections(variable: str) -> Iterator[tuple[str, str]]:
    """Yield each Service name that would set this variable, with the value."""
    for form, value in FORMS.items():
        if match := re.fullmatch(form, variable):
            yield match["service"].lower().replace("_", "-"), value


def injected_by(service: str, port: int = 5984, port_name: str = "http") -> dict[str, str]:
    """Return all variables that a Service injects."""
    name, address = service.upper().replace("-", "_"), "10.0.0.2"
    tcp = f"{name}_PORT_{port}_TCP"
    return {
        f"{name}_SERVICE_HOST": address,
        f"{name}_SERVICE_PORT": str(port),
        f"{name}_SERVICE_PORT_{port_name.upper()}": str(port),
        f"{name}_PORT": f"tcp://{address}:{port}",
        tcp: f"tcp://{address}:{port}",
        f"{tcp}_PROTO": "tcp",
        f"{tcp}_PORT": str(port),
        f"{tcp}_ADDR": address,
    }
