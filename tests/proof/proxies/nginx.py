"""Runs nginx in front of a service, in the foreground and with a configuration of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.waiting import wait_until

CONFIGURATION = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""


@contextmanager
def nginx(directory: Path, locations: str) -> Iterator[int]:
    """Serve these locations until the block ends; yields the port."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("BEHIND NGINX NOTHING IS TESTED: it is not installed")
    port = free_port()
    path = directory / "nginx.conf"
    path.write_text(CONFIGURATION.format(directory=directory, port=port, locations=locations))
    command = [program, "-e", f"{directory}/nginx.log", "-c", str(path)]
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: _listens(port), "nginx listens")
            yield port
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
