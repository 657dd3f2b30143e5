"""HAProxy in front of a service."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from tests.proof.proxies.programs import running
from tests.support.ports import free_port

CONFIGURATION = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend everybody
    bind 127.0.0.1:{port}
    default_backend service
backend service
    {settings}
    server one 127.0.0.1:{upstream}
"""


def haproxy(directory: Path, upstream: int, settings: str = "") -> AbstractContextManager[int]:
    """Run HAProxy in front of a port with these backend settings; yield its port."""
    port = free_port()
    path = directory / "haproxy.cfg"
    path.write_text(CONFIGURATION.format(port=port, upstream=upstream, settings=settings))
    return running("haproxy", "-db", "-f", str(path), port=port)
