"""A variable with a misspelled name is refused: ignored, it would let the service run on a default."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.config.misspelled import FAMILIES, NAMES, is_one_slip, misspelled

from .reading import read, refusal

SOURCES = Path(__file__).parents[2] / "otp_service"
LETTERS = st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")
KNOWN = {*NAMES, *(f"{name}_FILE" for name in NAMES)}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("OTP_REDIS_ULR", "OTP_REDIS_URL"),
        ("OTP_REDIS_URL_FIL", "OTP_REDIS_URL_FILE"),
        ("OTP_KEYRINGS", "OTP_KEYRING"),
        ("OTP_PUBLICURL", "OTP_PUBLIC_URL"),
        ("TELNYX_API_KEI", "TELNYX_API_KEY"),
        ("OPT_ISSUER", "OTP_ISSUER"),
        ("TP_ISSUER", "OTP_ISSUER"),
    ],
)
def test_a_misspelled_variable_is_refused(tmp_path: Path, written: str, meant: str) -> None:
    """The refusal says what was meant, and nothing of the value."""
    told = refusal(tmp_path, "", **{written: "secret"})
    assert told == f"{written}: is not a variable of this service; write {meant}, or unset it"


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    """Other programs' names begin like ours, too: those of Erlang's images and of Kubernetes' services, for example.

    Or they end like ours, behind a word that is near to it.
    """
    others = ["OTP_VERSION", "OTP_DOWNLOAD_URL", "OTP_SERVICE_HOST", "OTP_REDIS_PORT_6379_TCP", "OTP_PORT", "OTP_UI"]
    others += ["TOTP_ISSUER", "HOTP_ISSUER", "TOTP_API_KEY", "FTP_URL", "NTP_CONFIG", "FTP_DATA_DIR", "RTP_LOG_LEVEL"]
    assert read(tmp_path, "", **dict.fromkeys(others, "x")).policy.apps == {}


@given(name=st.sampled_from(NAMES), at=st.integers(0, 40), letter=LETTERS)
def test_every_slip_is_found(name: str, at: int, letter: str) -> None:
    """One character left out, put in, or another one; two exchanged. And nothing else is a slip.

    Nor is it one to begin with another letter.
    """
    at %= len(name)
    rest = name[at + 1 :]
    others = {name[:at] + letter + name[at:], name[:at] + letter + rest}
    slips = {name[:at] + rest, *(other for other in others if other.startswith(name[0]))}
    if rest:
        slips.add(name[:at] + rest[0] + name[at] + rest[1:])
    for slip in slips - KNOWN:
        assert is_one_slip(slip, name)
        if not slip.startswith(FAMILIES):
            assert name in [meant for _, meant in misspelled([slip])]
    assert not any(is_one_slip(other, name) for other in others - slips)
    assert not is_one_slip(name, name)
    assert not is_one_slip(f"{name}{letter}{letter}", name)


def test_every_variable_that_is_read_is_known() -> None:
    """One that is not in the list could not be told from a slip."""
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.py"))
    named = set(re.findall(r'"((?:OTP|TELNYX)_[A-Z_]+)"', text))
    assert {name for name in named - KNOWN if not name.startswith(FAMILIES)} == set()
    assert set(NAMES) <= named
