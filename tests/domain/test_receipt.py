"""Receipts: two JOSE libraries that are not ours read them, and ours reads nothing but its own."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import BadSignatureError, SecurityWarning
from joserfc.jwk import KeySet
from nacl.signing import SigningKey

from otp_service.domain import receipt
from otp_service.domain.ids import Ids
from otp_service.domain.receipt import TYPE, Claims, decode, encode
from otp_service.keyring import Keyring, create, parse, rotate

RING = parse(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
OTHER = parse(create(lambda n: bytes(range(1, n + 1)), "2026-01-01T00:00:00Z"))
CLAIMS = Claims(
    iss="https://otp.example",
    aud="shop",
    sub="00ff",
    purpose="login",
    channel="sms",
    context_hash="",
    jti="abc",
    verification_id="vrf_x",
    approved_s=int(time.time()),
)
TOKEN = encode(CLAIMS, RING.active_kid, RING.sign)


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def header(**changes: Any) -> str:
    """Our header with changes, encoded; None removes a field."""
    fields = {"alg": "EdDSA", "typ": receipt.TYPE, "kid": RING.active_kid, **changes}
    return b64(json.dumps({name: value for name, value in fields.items() if value is not None}).encode())


def signed(head: str, payload: str, sign: Callable[[bytes], bytes] = RING.sign) -> str:
    """A token over these two parts."""
    return f"{head}.{payload}.{b64(sign(f'{head}.{payload}'.encode()))}"


def just_issued() -> tuple[Claims, str]:
    """Claims of this second and their token: a busy machine may come to a test minutes after it has read the file."""
    claims = replace(CLAIMS, approved_s=int(time.time()))
    return claims, encode(claims, RING.active_kid, RING.sign)


def test_pyjwt_verifies_it_with_the_published_keys() -> None:
    """PyJWT, given our JWKS, accepts signature, audience, issuer and time, and reads the claims."""
    issued, token = just_issued()
    key = jwt.PyJWKSet.from_dict(RING.jwks())[RING.active_kid]
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="shop", issuer="https://otp.example")
    assert claims == issued.payload()
    assert claims["exp"] - claims["iat"] == 120
    assert jwt.get_unverified_header(token)["typ"] == "otp-receipt+jwt"
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, key, algorithms=["EdDSA"], audience="bank")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token[:-8] + "AAAAAAAA"[:8], key, algorithms=["EdDSA"], audience="shop")


def test_joserfc_verifies_it_with_the_published_keys() -> None:
    """So does a second library, of other people."""
    keys = KeySet.import_key_set(RING.jwks())  # type: ignore[arg-type]
    # RFC 9864 would rather have the name Ed25519; the contract and most libraries in use say EdDSA.
    with pytest.warns(SecurityWarning, match="EdDSA"):
        found = jws.deserialize_compact(TOKEN, keys, algorithms=["EdDSA"])
    assert json.loads(found.payload or b"") == CLAIMS.payload()
    with pytest.warns(SecurityWarning), pytest.raises(BadSignatureError):
        jws.deserialize_compact(f"{HEAD}.{BODY}.{b64(bytes(64))}", keys, algorithms=["EdDSA"])


def test_after_rotation_old_receipts_still_verify() -> None:
    """The old public key stays published; new receipts are signed by the new one."""
    issued, old = just_issued()
    raw = create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z")
    rotated = parse(rotate(raw, lambda n: b"\x07" * n, "2026-02-01T00:00:00Z"))
    new = encode(issued, rotated.active_kid, rotated.sign)
    assert rotated.active_kid != RING.active_kid
    for token in (old, new):
        assert decode(token, rotated.verify) == issued.payload()
        kid = jwt.get_unverified_header(token)["kid"]
        key = jwt.PyJWKSet.from_dict(rotated.jwks())[kid]
        assert jwt.decode(token, key, algorithms=["EdDSA"], audience="shop")["jti"] == "abc"
    assert decode(new, RING.verify) is None


def test_what_is_published_is_public() -> None:
    """No private part stands in the JWKS."""
    for key in RING.jwks()["keys"]:
        assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}
        assert len(base64.urlsafe_b64decode(key["x"] + "=")) == 32


@pytest.mark.parametrize(("channel", "amr"), [("sms", ["otp", "sms"]), ("whatsapp", ["otp"])])
def test_the_receipt_says_how(channel: str, amr: list[str]) -> None:
    """Method references of RFC 8176; no number, no code; an empty context is null."""
    claims = Claims("i", "a", "s", "pay", channel, "", "j", "vrf_x", 1).payload()
    assert (claims["amr"], claims["channel"]) == (amr, channel)
    assert claims["context_hash"] is None
    assert Claims("i", "a", "s", "pay", channel, "ab", "j", "vrf_x", 1).payload()["context_hash"] == "ab"


HEAD, BODY, SIGNATURE = TOKEN.split(".")
FORGED = {
    "empty": "",
    "two parts": f"{HEAD}.{BODY}",
    "four parts": f"{TOKEN}.x",
    "no signature": f"{HEAD}.{BODY}.",
    "alg none": f"{header(alg='none')}.{BODY}.",
    "alg none, signed": signed(header(alg="none"), BODY),
    "alg None": signed(header(alg="NONE"), BODY),
    "no alg": signed(header(alg=None), BODY),
    "HMAC with the public key": signed(header(alg="HS256"), BODY),
    "alg as a list": signed(header(alg=["EdDSA"]), BODY),
    "another typ": signed(header(typ="JWT"), BODY),
    "no typ": signed(header(typ=None), BODY),
    "unknown kid": signed(header(kid="k-other"), BODY),
    "no kid": signed(header(kid=None), BODY),
    "kid a number": signed(header(kid=1), BODY),
    "another signer": signed(HEAD, BODY, OTHER.sign),
    "another payload": f"{HEAD}.{b64(json.dumps({**CLAIMS.payload(), 'aud': 'bank'}).encode())}.{SIGNATURE}",
    "key in the header": signed(
        header(jwk={"kty": "OKP", "crv": "Ed25519", "x": b64(bytes(SigningKey(bytes(32)).verify_key))}),
        BODY,
        lambda message: SigningKey(bytes(32)).sign(message).signature,
    ),
    "header no object": signed(b64(b'["EdDSA"]'), BODY),
    "header no JSON": signed(b64(b"{"), BODY),
    "header deep": signed(b64(b"[" * 2_000), BODY),
    "claims no object": signed(HEAD, b64(b'"x"')),
    "claims no JSON": signed(HEAD, b64(b"{")),
    "padded": f"{TOKEN}==",
    "standard base64": f"{HEAD}.{BODY}.{SIGNATURE.replace('-', '+').replace('_', '/')}+",
    "not canonical": f"{HEAD}.{BODY}.{SIGNATURE[:-1]}{chr(ord(SIGNATURE[-1]) + 1)}",
    "a blank": f" {TOKEN}",
    "a line end": f"{TOKEN}\n",
    "not ASCII": TOKEN.replace("e", "é", 1),
    "a surrogate": TOKEN[:-1] + "\ud800",
    "63 bytes": f"{HEAD}.{BODY}.{b64(RING.sign(f'{HEAD}.{BODY}'.encode())[:-1])}",
    "too long": signed(HEAD, b64(json.dumps({"x": "y" * 5_000}).encode())),
}


@pytest.mark.parametrize("name", list(FORGED))
def test_anything_else_is_no_receipt(name: str) -> None:
    """Forged, tampered, re-encoded or malformed: None, and never an exception."""
    assert decode(FORGED[name], RING.verify) is None
    assert decode(TOKEN, RING.verify) == CLAIMS.payload()


@given(st.integers(0, len(TOKEN) - 1), st.characters(codec="ascii"))
def test_no_character_of_a_receipt_can_be_changed(place: int, other: str) -> None:
    """Each one is covered by the signature or by the strict reading of it."""
    changed = TOKEN[:place] + other + TOKEN[place + 1 :]
    assert (decode(changed, RING.verify) is None) is (changed != TOKEN)


@given(st.text(max_size=200))
def test_reading_never_raises(text: str) -> None:
    """Whatever a caller sends."""
    assert decode(text, RING.verify) is None


def test_a_subject_is_one_person_within_one_app() -> None:
    """Two tenants cannot compare their customers, and nobody can name one without the key."""
    ids, others = Ids(bytes(32)), Ids(b"x" * 32)
    assert ids.subject("shop", "00ff") == ids.subject("shop", "00ff")
    subjects = {ids.subject("shop", "00ff"), ids.subject("bank", "00ff"), others.subject("shop", "00ff")}
    assert len(subjects | {ids.subject("shop", "00fe")}) == 4


def test_a_key_ring_verifies_only_its_own() -> None:
    """A signature of another length or ring is none."""
    message = b"message"
    assert RING.verify(RING.active_kid, RING.sign(message), message)
    assert not OTHER.verify(RING.active_kid, RING.sign(message), message)
    assert not RING.verify(RING.active_kid, RING.sign(message) + b"x", message)
    assert not RING.verify("nobody", RING.sign(message), message)
    assert isinstance(RING, Keyring)


def test_the_public_key_is_no_secret_of_a_hash() -> None:
    """The classic confusion of algorithms: an HMAC keyed with the published key, however written, is no receipt."""
    (published,) = RING.jwks()["keys"]
    raw = base64.urlsafe_b64decode(published["x"] + "=")
    head, body, _ = encode(CLAIMS, RING.active_kid, RING.sign).split(".")
    confused = b64(json.dumps({"alg": "HS256", "typ": TYPE, "kid": RING.active_kid}).encode())
    for secret in (raw, raw.hex().encode(), published["x"].encode(), json.dumps(published).encode()):
        for first in (confused, head):
            forged = hmac.digest(secret, f"{first}.{body}".encode(), "sha256")
            assert decode(f"{first}.{body}.{b64(forged)}", RING.verify) is None
            assert decode(f"{first}.{body}.{b64(forged * 2)}", RING.verify) is None


def test_a_receipt_is_smaller_than_what_is_read_of_one() -> None:
    """The longest names that a configuration and a caller can bring still make a receipt that is read again."""
    longest = Claims("https://" + "i" * 192, "a" * 32, "f" * 32, "ü" * 32, "whatsapp", "f" * 64, "j" * 64, "v" * 36, 1)
    token = encode(longest, RING.active_kid, RING.sign)
    assert decode(token, RING.verify) == longest.payload()
