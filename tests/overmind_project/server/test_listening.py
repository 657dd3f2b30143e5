"""Tests for the listening address: IPv4 and IPv6 where both are available."""

from __future__ import annotations

import errno
import http.client
import json
import socket
from pathlib import Path

import pytest

from overmind_project.server.listening import binds, without_ipv6_mapping
from tests.support.backends import Backend
from tests.support.service import Service
from tests.support.waiting import wait_until


class Probe:
    """A socket on a system without IPv6, with separate or with dual-stack IPv6."""

    def __init__(self, *, has_ipv6: bool, keeps_apart: bool) -> None:
        self._has_ipv6 = has_ipv6
        self._keeps_apart = keeps_apart

    def __call__(self, *_: object) -> Probe:
        if not self._has_ipv6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return self

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing needs closing."""

    def bind(self, address: tuple[str, int]) -> None:
        assert address == ("::", 0)

    def getsockopt(self, *_: int) -> int:
        return int(self._keeps_apart)


@pytest.mark.parametrize(
    ("has_ipv6", "keeps_apart", "bound"),
    [
        (False, False, ["0.0.0.0:8080"]),
        (True, False, ["[::]:8080"]),
        (True, True, ["0.0.0.0:8080", "[::]:8080"]),
    ],
)
def test_a_port_alone_binds_all_available_addresses(
    monkeypatch: pytest.MonkeyPatch, *, has_ipv6: bool, keeps_apart: bool, bound: list[str]
) -> None:
    probe = Probe(has_ipv6=has_ipv6, keeps_apart=keeps_apart)
    monkeypatch.setattr(socket, "socket", probe)
    assert binds(":8080") == bound


@pytest.mark.parametrize("address", ["0.0.0.0:8080", "[::]:8080", "[::1]:80", "localhost:80"])
def test_a_host_binds_only_its_address(address: str) -> None:
    assert binds(address) == [address]


@pytest.mark.parametrize(
    ("seen", "told"),
    [("::ffff:10.0.0.1", "10.0.0.1"), ("10.0.0.1", "10.0.0.1"), ("::1", "::1"), ("", "")],
)
def test_a_mapped_ipv4_address_is_shown_as_ipv4(seen: str, told: str) -> None:
    assert without_ipv6_mapping(seen) == told


def test_a_port_alone_serves_ipv4_and_ipv6_with_client_addresses(
    sqlite: Backend, tmp_path: Path
) -> None:
    clients = ["127.0.0.1", *(["::1"] if _has_ipv6() else [])]
    environment = sqlite.environment | {"OVERMIND_LOG_FORMAT": "json"}
    with Service(environment, tmp_path, host="") as service:
        for client in clients:
            connection = http.client.HTTPConnection(client, service.port, timeout=30)
            assert service.call("GET", "/zerglings/", connection=connection).status == 200
            connection.close()
        wait_until(lambda: len(logged_clients(service)) == len(clients), "each is logged")
        assert logged_clients(service) == clients


def logged_clients(service: Service) -> list[str]:
    lines = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    return [line["client"] for line in lines if line.get("route") == "zergling-list"]


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
