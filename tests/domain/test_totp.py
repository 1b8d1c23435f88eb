"""Codes of authenticator apps: the vectors of RFC 4226 and RFC 6238, drift, and what may be typed."""

import base64

import pyotp
import pytest

from otp_service.domain import totp
from otp_service.domain.factors import TotpForm

SECRETS = {
    "SHA1": b"12345678901234567890",
    "SHA256": b"12345678901234567890123456789012",
    "SHA512": b"1234567890123456789012345678901234567890123456789012345678901234",
}
HOTP = ("755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489")
TOTP = {
    59: ("94287082", "46119246", "90693936"),
    1111111109: ("07081804", "68084774", "25091201"),
    1111111111: ("14050471", "67062674", "99943326"),
    1234567890: ("89005924", "91819424", "93441116"),
    2000000000: ("69279037", "90698825", "38618901"),
    20000000000: ("65353130", "77737706", "47863826"),
}


@pytest.mark.parametrize(("counter", "code"), list(enumerate(HOTP)))
def test_the_vectors_of_rfc_4226(counter: int, code: str) -> None:
    """Appendix D: ten counters."""
    assert totp.code_at(SECRETS["SHA1"], TotpForm(), counter) == code


@pytest.mark.parametrize("second", TOTP)
def test_the_vectors_of_rfc_6238(second: int) -> None:
    """Appendix B: eight digits, three hashes."""
    for algorithm, code in zip(SECRETS, TOTP[second], strict=True):
        form = TotpForm(algorithm, 8, 30)
        assert totp.code_at(SECRETS[algorithm], form, second // 30) == code
        assert second // 30 in totp.matching_steps(SECRETS[algorithm], form, code, second * 1000)


@pytest.mark.parametrize("period_s", [30, 60])
@pytest.mark.parametrize("algorithm", SECRETS)
@pytest.mark.parametrize("digits", [6, 8])
def test_one_step_of_drift_each_way(algorithm: str, digits: int, period_s: int) -> None:
    """The step before and the one after match, at both of their ends, and no other."""
    form, secret = TotpForm(algorithm, digits, period_s), bytes(range(20))
    app = pyotp.parse_uri(totp.uri(secret, form, issuer="Acme & Co", label="Ann's phone"))
    assert isinstance(app, pyotp.TOTP)
    for second in (1_790_000_040, 1_790_000_040 + period_s - 1):
        step = second // period_s
        for drift in range(-3, 4):
            code = app.at(1_790_000_040 + drift * period_s)
            assert totp.matching_steps(secret, form, code, second * 1000) == ([step + drift] if abs(drift) < 2 else [])


def test_the_address_is_short_for_the_defaults() -> None:
    """What every app takes for granted is left out: some apps refuse what they do not know."""
    secret = bytes(range(20))
    assert totp.uri(secret, TotpForm(), issuer="Acme", label="Phone") == (
        f"otpauth://totp/Acme:Phone?secret={base64.b32encode(secret).decode()}&issuer=Acme"
    )
    assert totp.uri(secret, TotpForm("SHA512", 8, 60), issuer="Acme", label="Phone").endswith(
        "&algorithm=SHA512&digits=8&period=60"
    )


def test_a_brand_with_a_colon_is_read_by_other_apps() -> None:
    """They take what stands before the first colon for the issuer, and refuse two that differ."""
    parsed = pyotp.parse_uri(totp.uri(bytes(range(20)), TotpForm(), issuer="Acme: Co", label="a:b"))
    assert (parsed.issuer, parsed.name) == ("Acme Co", "a:b")
