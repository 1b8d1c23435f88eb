"""What the doctor says of addresses: plain http, and a public URL that the carrier cannot reach."""

import pytest

from otp_service.config import Settings
from otp_service.diagnosis.addresses import check_addresses
from otp_service.domain.policy import Policy

TELNYX = "https://api.telnyx.com/v2"
SANDBOX = "http://127.0.0.1:8081/v2"


def faults(public: str, carrier: str) -> list[str]:
    """What is wrong with these two addresses."""
    settings = Settings(policy=Policy(), public_url=public, issuer=public, telnyx_base_url=carrier)
    return [result.detail for result in check_addresses(settings) if not result.ok]


@pytest.mark.parametrize(
    ("public", "carrier"),
    [
        ("https://otp.example.com", TELNYX),
        ("http://127.0.0.1:8080", SANDBOX),
        ("http://[::1]:8080", SANDBOX),
        ("http://localhost:8080", "http://localhost:8081/v2"),
        ("http://api:8080", "http://sandbox:8081/v2"),
        ("http://10.0.0.5:8080", "http://10.0.0.6:8081/v2"),
        ("https://otp.example.com", SANDBOX),
    ],
)
def test_good_pairs(public: str, carrier: str) -> None:
    """https in the open, and anything within one network."""
    assert faults(public, carrier) == []


@pytest.mark.parametrize(
    ("public", "carrier", "words"),
    [
        ("http://otp.example.com", TELNYX, ["plain http"]),
        ("http://203.0.114.9", TELNYX, ["plain http"]),
        ("http://127.0.0.1:8080", TELNYX, ["cannot reach it"]),
        ("https://10.0.0.5", TELNYX, ["cannot reach it"]),
        ("http://api:8080", TELNYX, ["cannot reach it"]),
        ("https://otp.example.com", "http://api.telnyx.com/v2", ["carrier's key"]),
        ("http://otp.example.com", "http://api.telnyx.com/v2", ["plain http", "carrier's key"]),
    ],
)
def test_bad_pairs(public: str, carrier: str, words: list[str]) -> None:
    """One line for each fault, and it says what to do."""
    found = faults(public, carrier)
    assert len(found) == len(words)
    assert all(word in fault for word, fault in zip(words, found, strict=True))
