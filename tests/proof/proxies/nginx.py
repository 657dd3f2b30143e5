"""nginx in front of a service."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from tests.proof.proxies.programs import running
from tests.support.ports import free_port

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


def nginx(directory: Path, locations: str) -> AbstractContextManager[int]:
    """Run nginx with these locations during the block; yield its port."""
    port = free_port()
    path = directory / "nginx.conf"
    path.write_text(CONFIGURATION.format(directory=directory, port=port, locations=locations))
    return running("nginx", "-e", f"{directory}/nginx.log", "-c", str(path), port=port)
