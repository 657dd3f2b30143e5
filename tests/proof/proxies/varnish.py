"""Varnish in front of a service."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from tests.proof.proxies.programs import running
from tests.support.ports import free_port

CONFIGURATION = """
vcl 4.1;
import std;
backend service {{ .host = "127.0.0.1"; .port = "{upstream}"; }}
{rules}
"""


def varnish(directory: Path, upstream: int, rules: str = "") -> AbstractContextManager[int]:
    """Run Varnish in front of a port with these additional rules; yield its port."""
    port = free_port()
    path = directory / "varnish.vcl"
    path.write_text(CONFIGURATION.format(upstream=upstream, rules=rules))
    place = ["-n", str(directory / "varnish"), "-a", f"127.0.0.1:{port}", "-f", str(path)]
    return running("varnishd", "-F", "-j", "none", "-s", "malloc,16m", *place, port=port)
