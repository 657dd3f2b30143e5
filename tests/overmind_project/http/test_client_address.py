"""Tests for finding the client's address when X-Forwarded-For may be forged."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overmind_project.http.client_address import TrustedProxies, networks, rate_limit_network

TRUSTED = "10.0.0.0/8, fd00::/8, 192.0.2.7"
PROXIES = TrustedProxies(networks(TRUSTED))

trusted = st.one_of(
    st.ip_addresses(network="10.0.0.0/8"),
    st.ip_addresses(network="fd00::/8"),
    st.just(IPv4Address("192.0.2.7")),
).map(str)
strangers = st.one_of(
    st.ip_addresses(network="198.51.100.0/24"), st.ip_addresses(network="2001:db8::/32")
).map(str)
junk = st.one_of(
    st.sampled_from(
        [
            "",
            "unknown",
            "198.51.100.1:80",
            "[2001:db8::1]",
            "_hidden",
            "1.2.3",
            "::1::",
            "fe80::1% caller=anna",
        ]
    ),
    st.text(st.characters(exclude_characters=","), max_size=60),
).filter(lambda text: not is_address(text.strip(" \t")))


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def client(remote: str, *forwarded: str) -> str:
    return PROXIES.client_of({"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": ", ".join(forwarded)})


@given(strangers, st.lists(st.one_of(trusted, strangers, junk)))
def test_an_untrusted_peer_is_the_client(remote: str, forwarded: list[str]) -> None:
    assert client(remote, *forwarded) == remote


@given(st.lists(st.one_of(trusted, strangers, junk)), strangers, st.lists(trusted), trusted)
def test_a_forged_header_does_not_hide_the_address_that_proxies_saw(
    written: list[str], seen: str, proxies: list[str], last: str
) -> None:
    assert client(last, *written, seen, *proxies) == seen


@given(st.lists(st.one_of(trusted, strangers)), junk, st.lists(trusted), trusted)
def test_an_invalid_address_ends_the_search(
    written: list[str], hole: str, proxies: list[str], last: str
) -> None:
    assert client(last, *written, hole, *proxies) == [*proxies, last][0]


@given(st.lists(trusted, min_size=1), trusted)
def test_the_farthest_of_only_trusted_proxies_is_the_client(proxies: list[str], last: str) -> None:
    assert client(last, *proxies) == proxies[0]


def test_a_trusted_proxy_without_the_header_is_the_client() -> None:
    assert PROXIES.client_of({"REMOTE_ADDR": "10.0.0.1"}) == "10.0.0.1"
    assert PROXIES.client_of({"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "10.0.0.1"}) == ""


def test_a_mapped_ipv4_address_counts_as_ipv4() -> None:
    assert client("::ffff:10.0.0.1", "::ffff:198.51.100.9") == "198.51.100.9"
    assert (
        rate_limit_network("::ffff:198.51.100.9")
        == rate_limit_network("198.51.100.9")
        == "198.51.100.9"
    )


@given(st.integers(2**64, 2**128 - 1), st.integers(0, 2**64 - 1))
def test_an_ipv6_network_is_limited_together(address: int, host: int) -> None:
    site = rate_limit_network(str(IPv6Address(address)))
    assert rate_limit_network(str(IPv6Address(address >> 64 << 64 | host))) == site
    assert rate_limit_network(str(IPv6Address(address ^ 1 << 64))) != site


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_ipv4_addresses_are_limited_separately(one: IPv4Address, other: IPv4Address) -> None:
    assert (rate_limit_network(str(one)) == rate_limit_network(str(other))) == (one == other)


@given(st.text(max_size=60))
def test_any_text_has_a_rate_limit_network(text: str) -> None:
    assert isinstance(rate_limit_network(text), str)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "proxy", "10.0.0.0/8;fd00::/8", "*"])
def test_an_invalid_network_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear to be|has host bits set"):
        networks(text)
