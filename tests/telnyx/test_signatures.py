"""Whose webhooks are accepted."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from otp_service.telnyx.signatures import Verdict, parse_public_key, parse_public_keys, verify

KEY = SigningKey(bytes(range(32)))
PUBLIC = bytes(KEY.verify_key)
BODY = b'{"data":{"id":"1"}}'
NOW = 1_763_924_400


def sign(timestamp: str = str(NOW), body: bytes = BODY, key: SigningKey = KEY) -> str:
    """The header that the carrier would send."""
    return base64.b64encode(key.sign(timestamp.encode() + b"|" + body).signature).decode()


def judge(
    timestamp: str | None = str(NOW), signature: str | None = None, body: bytes = BODY, now_s: float = NOW
) -> Verdict:
    """Verify with the test's key; without a signature, the right one for this timestamp and body."""
    made = sign(timestamp or "", body) if signature is None else signature
    return verify([PUBLIC], timestamp=timestamp, signature=made, body=body, now_s=now_s)


def test_what_the_carrier_signed_is_genuine() -> None:
    """A signature over `timestamp|body` by the account's key is OK, an empty or binary body included."""
    assert judge() is Verdict.OK
    assert judge(body=b"") is Verdict.OK
    assert judge(body=b"\x00\xff|") is Verdict.OK


@pytest.mark.parametrize(("timestamp", "signature"), [(None, "x"), ("", "x"), ("1", ""), (None, "")])
def test_a_missing_header_is_missing(timestamp: str | None, signature: str) -> None:
    """Without both headers there is nothing to judge."""
    assert judge(timestamp, signature) is Verdict.MISSING
    assert verify([PUBLIC], timestamp="1", signature=None, body=BODY, now_s=NOW) is Verdict.MISSING


@pytest.mark.parametrize(
    "timestamp",
    [
        "1e9",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "0x1",
        "1_000",
        "1.5",
        "١٢",
        "１２",
        "²",
        "1,1",
        "9" * 21,
        "9" * 5000,
        "\ud800",
    ],
)
def test_a_timestamp_is_plain_digits(timestamp: str) -> None:
    """No sign, space, exponent, separator or foreign digit, and no length that would cost time."""
    assert judge(timestamp, sign()) is Verdict.MALFORMED


@pytest.mark.parametrize(
    "signature",
    [
        "AA!!",
        "A" * 88,
        sign() + "\n",
        " " + sign(),
        sign()[:-1],
        sign()[:-2],
        sign() + "====",
        sign() + "," + sign(),
        base64.b64encode(b"x" * 63).decode(),
        base64.b64encode(b"x" * 65).decode(),
        sign().replace(sign()[0], "-"),
        sign().replace(sign()[0], "_"),
        sign().replace(sign()[0], "é"),
        "\ud800" * 88,
        KEY.sign(BODY).signature.hex(),
        "x" * 100_000,
    ],
)
def test_a_signature_is_64_bytes_of_strict_base64(signature: str) -> None:
    """Junk, other lengths, the URL alphabet and repeated headers are malformed, and never an error of ours."""
    assert judge(signature=signature) is Verdict.MALFORMED


def test_a_signature_has_one_spelling() -> None:
    """The unused bits of the last character must be zero, so that no second text passes for the same signature."""
    right = sign()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    sibling = right[:85] + alphabet[alphabet.index(right[85]) + 1] + "=="
    assert base64.b64decode(sibling) == base64.b64decode(right)
    assert judge(signature=sibling) is Verdict.MALFORMED


def test_what_somebody_else_signed_is_bad() -> None:
    """Another key, another body, another timestamp, or the body alone: all bad."""
    assert judge(signature=sign(key=SigningKey(bytes(32)))) is Verdict.BAD_SIGNATURE
    assert judge(signature=sign(body=BODY + b" ")) is Verdict.BAD_SIGNATURE
    assert judge(signature=sign(timestamp=str(NOW - 1))) is Verdict.BAD_SIGNATURE
    assert judge(signature=base64.b64encode(KEY.sign(BODY).signature).decode()) is Verdict.BAD_SIGNATURE
    assert judge(timestamp=f"0{NOW}", signature=sign()) is Verdict.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("now_s", "verdict"),
    [
        (NOW + 300, Verdict.OK),
        (NOW - 300, Verdict.OK),
        (NOW + 300.5, Verdict.STALE),
        (NOW + 301, Verdict.STALE),
        (NOW - 301, Verdict.STALE),
        (0, Verdict.STALE),
    ],
)
def test_only_the_present_counts(now_s: float, verdict: Verdict) -> None:
    """Five minutes either way, bounds included, are the present; anything else that is genuine is stale."""
    assert judge(now_s=now_s) is verdict


def test_only_genuine_webhooks_are_called_stale() -> None:
    """A forged old webhook is forged, whatever its age."""
    old = str(NOW - 10_000)
    assert judge(old) is Verdict.STALE
    assert judge(old, sign()) is Verdict.BAD_SIGNATURE
    assert judge("0" * 20) is Verdict.STALE
    assert judge("9" * 20) is Verdict.STALE


@given(st.none() | st.text(), st.none() | st.text(), st.binary(max_size=50), st.floats(0, 1e12))
@example("1", "A" * 86 + "==", b"", 0.0)
def test_nothing_unsigned_passes_or_breaks(
    timestamp: str | None, signature: str | None, body: bytes, now_s: float
) -> None:
    """For random headers and bodies there is a verdict, and it is never OK or STALE."""
    verdict = verify([PUBLIC], timestamp=timestamp, signature=signature, body=body, now_s=now_s)
    assert verdict in {Verdict.MISSING, Verdict.MALFORMED, Verdict.BAD_SIGNATURE}


@given(st.binary(min_size=64, max_size=64), st.integers(0, 10**12))
def test_well_formed_guesses_are_bad(signature: bytes, timestamp: int) -> None:
    """64 random bytes are no signature."""
    guess = base64.b64encode(signature).decode()
    assert judge(str(timestamp), guess) is Verdict.BAD_SIGNATURE


def test_the_public_key_is_read_as_the_portal_prints_it() -> None:
    """Base64 of 32 bytes, with the whitespace that copying adds."""
    assert parse_public_key(f" {base64.b64encode(PUBLIC).decode()}\n") == PUBLIC


def test_several_keys_while_the_carriers_key_changes() -> None:
    """Whatever whitespace is between them; a signature by any of them is good, one by another key is bad."""
    other = SigningKey(bytes(reversed(range(32))))
    texts = [base64.b64encode(key).decode() for key in (bytes(other.verify_key), PUBLIC)]
    for between in (" ", "\n", "\r\n\t"):
        keys = parse_public_keys(f" {between.join(texts)}\n")
        assert keys == (bytes(other.verify_key), PUBLIC)
    for known, verdict in ((keys, Verdict.OK), (keys[:1], Verdict.BAD_SIGNATURE), (keys[1:], Verdict.OK)):
        assert verify(known, timestamp=str(NOW), signature=sign(), body=BODY, now_s=NOW) is verdict
    for text in ("", " ", f"{texts[0]} AAAA", f"{texts[0]},{texts[1]}"):
        with pytest.raises(ValueError, match=r"public key|bytes"):
            parse_public_keys(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "0 bytes"),
        ("AAAA", "3 bytes"),
        (base64.b64encode(bytes(range(33))).decode(), "33 bytes"),
        ("not base64!", "not base64"),
        ("-----BEGIN PUBLIC KEY-----", "not base64"),
        ("schlüssel", "not base64"),
    ],
)
def test_an_unusable_public_key_is_explained(text: str, sentence: str) -> None:
    """A wrong key stops the configuration with a sentence that says what is wrong."""
    with pytest.raises(ValueError, match=sentence):
        parse_public_key(text)


def test_a_key_of_the_wrong_length_is_our_mistake() -> None:
    """A public key that was never parsed raises instead of passing for a bad signature for ever."""
    with pytest.raises(ValueError, match="32"):
        verify([PUBLIC, b"short"], timestamp="1", signature=sign(), body=BODY, now_s=NOW)
