"""End users' addresses: which are one end user, and how much of one stands in the record."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.addresses import KeptClientIp, end_user, kept_client_ip
from otp_service.domain.ids import Ids
from tests.config.reading import read, refusal

DIGEST = Ids(bytes(range(32))).digest
FILE = """
[senders.p]
kind = "number_pool"
messaging_profile_id = "a"
[apps.a]
brand = "A"
route = ["p"]
[service]
"""
WRAPPED = ["203.0.113.77", "::ffff:203.0.113.77", "64:ff9b::203.0.113.77", "2002:cb00:714d::1", "2002:cb00:714d:9::8"]


@pytest.mark.parametrize("address", WRAPPED)
def test_ipv4_inside_ipv6_is_that_ipv4(address: str) -> None:
    """Mapped, translated and 6to4: else one user would have as many budgets as there are spellings."""
    assert end_user(address) == "203.0.113.77"


def test_an_ipv6_network_of_one_user_is_one() -> None:
    """A /64, and the next one is another user."""
    assert end_user("2001:db8:1:2::3") == end_user("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert end_user("2001:db8:1:3::3") != end_user("2001:db8:1:2::3")
    assert end_user("64:ff9b:1::1") == "64:ff9b:1::/64"


@pytest.mark.parametrize(
    ("how_much", "four", "six"),
    [
        (KeptClientIp.FULL, "203.0.113.77", "2001:db8:1:2::3"),
        (KeptClientIp.NETWORK, "203.0.113.0/24", "2001:db8:1:2::/64"),
        (KeptClientIp.NONE, "", ""),
    ],
)
def test_the_record_keeps_what_the_operator_wants(how_much: KeptClientIp, four: str, six: str) -> None:
    """All of it, its network, or nothing."""
    for address in WRAPPED:
        assert kept_client_ip(address, how_much, "a", DIGEST) == four
    assert kept_client_ip("2001:db8:1:2::3", how_much, "a", DIGEST) == six


@given(st.ip_addresses())
def test_a_hash_names_one_user_of_one_app(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """20 hex digits: the same for the same user, another for another app or key, and nothing of the address in it."""
    hashed = kept_client_ip(str(address), KeptClientIp.HASHED, "a", DIGEST)
    assert len(bytes.fromhex(hashed)) == 10
    assert hashed == kept_client_ip(str(address), KeptClientIp.HASHED, "a", DIGEST)
    assert hashed != kept_client_ip(str(address), KeptClientIp.HASHED, "b", DIGEST)
    assert hashed != kept_client_ip(str(address), KeptClientIp.HASHED, "a", Ids(bytes(32)).digest)


def test_the_setting_is_hashed_unless_something_else_is_said(tmp_path: Path) -> None:
    """Without any addresses on record there are none of end users either."""
    assert read(tmp_path, FILE).policy.audit_client_ips is KeptClientIp.HASHED
    for word in KeptClientIp:
        assert read(tmp_path, f'{FILE}audit_client_ips = "{word}"').policy.audit_client_ips is word
    assert read(tmp_path, f'{FILE}audit_addresses = "network"').policy.audit_client_ips is KeptClientIp.HASHED
    assert read(tmp_path, f'{FILE}audit_addresses = "none"').policy.audit_client_ips is KeptClientIp.NONE
    both = 'audit_addresses = "none"\naudit_client_ips = "full"'
    assert read(tmp_path, FILE + both).policy.audit_client_ips is KeptClientIp.FULL
    assert "full, network, hashed, none" in refusal(tmp_path, f'{FILE}audit_client_ips = "some"')
