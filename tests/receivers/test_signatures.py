"""Signatures of callbacks, verified by the project's own Python library (HMAC) and by PyNaCl (Ed25519)."""

import base64
import re
import secrets
import time

import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey
from standardwebhooks import Webhook, WebhookVerificationError

from otp_service.receivers.signatures import Secret, generate, parse, parse_all, sign

BODY = '{"type":"verification.approved","data":{"to":"+1******0143","metadata":{"naïve":"☎"}}}'


def headers(signers: list[Secret], body: str = BODY, at: int | None = None) -> dict[str, str]:
    """The three headers of a callback made now."""
    at = int(time.time()) if at is None else at
    signature = sign(signers, "evt_00-1-0", at, body.encode())
    return {"webhook-id": "evt_00-1-0", "webhook-timestamp": str(at), "webhook-signature": signature}


@pytest.mark.parametrize("size", [24, 32, 64])
def test_hmac_is_what_the_official_library_accepts(size: int) -> None:
    """Secrets of every allowed size; one changed byte, another id or an old time is refused there."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(size)).decode()
    made = headers([parse(secret)])
    assert Webhook(secret).verify(BODY, made)["type"] == "verification.approved"
    for changed in (made | {"webhook-id": "evt_00-1-1"}, headers([parse(secret)], at=1_600_000_000)):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + " ", made)


def test_ed25519_is_what_its_public_key_verifies() -> None:
    """Over id, time and body with dots between, as the standard has it."""
    secret, public = generate(secrets.token_bytes, ed25519=True)
    assert public is not None
    made = headers([parse(secret)])
    scheme, _, signature = made["webhook-signature"].partition(",")
    key = VerifyKey(base64.b64decode(public.removeprefix("whpk_")))
    message = f"{made['webhook-id']}.{made['webhook-timestamp']}.{BODY}".encode()
    assert scheme == "v1a"
    key.verify(message, base64.b64decode(signature))
    with pytest.raises(BadSignatureError):
        key.verify(message + b" ", base64.b64decode(signature))


def test_all_keys_sign_during_a_rotation() -> None:
    """A receiver that knows the old, the new, or only the public key finds its own among the signatures."""
    old, new = (generate(secrets.token_bytes, ed25519=False)[0] for _ in range(2))
    pair, public = generate(secrets.token_bytes, ed25519=True)
    made = headers([parse(word) for word in parse_all(f"{new}\n{old}  {pair}\n")])
    assert [one.partition(",")[0] for one in made["webhook-signature"].split(" ")] == ["v1", "v1", "v1a"]
    for secret in (old, new):
        Webhook(secret).verify(BODY, made)
    with pytest.raises(WebhookVerificationError):
        Webhook(generate(secrets.token_bytes, ed25519=False)[0]).verify(BODY, made)
    assert re.fullmatch(r"whpk_[A-Za-z0-9+/]{43}=", str(public))


def test_a_fresh_secret_has_the_form_it_should_have() -> None:
    """Two are never the same; HMAC has no public half."""
    first, second = (generate(secrets.token_bytes, ed25519=False) for _ in range(2))
    assert first[0] != second[0]
    assert first[1] is None
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{32}", first[0])


def test_a_key_may_bring_its_public_half() -> None:
    """Some tools keep seed and public key together: 64 bytes. They have to belong to each other."""
    key = SigningKey(bytes(range(32)))
    both = base64.b64encode(bytes(key) + bytes(key.verify_key)).decode()
    seed = base64.b64encode(bytes(key)).decode()
    assert parse(f"whsk_{both}").public == parse(f"whsk_{seed}").public
    wrong = base64.b64encode(bytes(key) + bytes(32)).decode()
    with pytest.raises(ValueError, match="public half"):
        parse(f"whsk_{wrong}")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "1 to 4"),
        (" ".join(f"whsec_{base64.b64encode(bytes([n]) * 24).decode()}" for n in range(5)), "1 to 4"),
        ("hunter2hunter2hunter2hunter2", "whsec_"),
        ("whpk_" + base64.b64encode(bytes(32)).decode(), "whsec_"),
        ("whsec_hunter2hunter2!hunter2", "base64"),
        ("whsec_" + base64.b64encode(b"hunter2" * 3).decode(), "24 to 64"),
        ("whsec_" + base64.b64encode(b"hunter2" * 10).decode(), "24 to 64"),
        ("whsk_" + base64.b64encode(b"hunter2" * 3).decode(), "32 bytes"),
        (" ".join(["whsec_" + base64.b64encode(b"hunter2hunter2hunter2hunter2").decode()] * 2), "twice"),
    ],
)
def test_what_is_no_secret_is_refused_without_repeating_it(text: str, part: str) -> None:
    """The sentence helps and shows no secret."""
    with pytest.raises(ValueError, match=re.escape(part)) as refused:
        parse_all(text)
    assert not text or text.rsplit("_", maxsplit=1)[-1] not in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_secret_does_not_show_itself() -> None:
    """Neither its repr nor its public half gives the key away."""
    word = "whsec_" + base64.b64encode(b"hush-hush-hush-hush-hush").decode()
    assert "hush" not in repr(parse(word))
    assert word.removeprefix("whsec_") not in repr(parse(word))
