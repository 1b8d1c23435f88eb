"""A request without an Idempotency-Key has a short way: its reply is encoded once, and nothing looks at it again."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

import msgspec
import pytest

from otp_service.web.schemas.check import Approval
from otp_service.web.schemas.verification import StartedVerification, Verification

from .conftest import ApiHarness

REPLIES = (Verification, Approval)


@pytest.fixture
def coded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a reply was encoded, and anything decoded into one."""
    found: Counter[str] = Counter()
    encode, decode = msgspec.json.encode, msgspec.json.decode

    def encoding(value: Any, **options: Any) -> bytes:
        found[f"encoded {type(value).__name__}"] += isinstance(value, REPLIES)
        return encode(value, **options)

    def decoding(raw: Any, **options: Any) -> Any:
        found["decoded"] += options.get("type", object) in (Verification, StartedVerification, Approval)
        return decode(raw, **options)

    monkeypatch.setattr(msgspec.json, "encode", encoding)
    monkeypatch.setattr(msgspec.json, "decode", decoding)
    return found


TOUCHES = frozenset({"look", "reserve", "complete", "release", "run", "digest", "fingerprint"})
"""Functions that touch a stored reply, or hash a request for it."""


@pytest.fixture
def touched() -> Iterator[set[str]]:
    """The functions about stored replies that were called, watched without replacing any of them."""
    found: set[str] = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.endswith("idempotency.py"):
            found.update(TOUCHES & {frame.f_code.co_name})

    sys.setprofile(watch)
    yield found
    sys.setprofile(None)


def test_a_start_without_a_key_is_encoded_once(api: ApiHarness, coded: Counter[str], touched: set[str]) -> None:
    """One encoding of the started verification, no decoding, and no stored reply is asked for."""
    assert api.start(api.number(), metadata={"a": 1}).status == 201
    assert +coded == {"encoded StartedVerification": 1}
    assert touched == set()


def test_a_check_without_a_key_is_encoded_once(api: ApiHarness, coded: Counter[str], touched: set[str]) -> None:
    """One encoding of the approval, no decoding, and no stored reply is asked for."""
    verification = api.started(api.number())
    coded.clear()
    assert api.check(verification, api.code(verification)).status == 200
    assert +coded == {"encoded Approval": 1}
    assert touched == set()


def test_a_keyed_start_stores_a_reply_without_decoding_its_own(
    api: ApiHarness, coded: Counter[str], touched: set[str]
) -> None:
    """With a key there is one more encoding, the stored one without the watch token."""
    answer = api.call("POST", "/verify/start", {"to": api.number()}, headers={"Idempotency-Key": "k"})
    assert answer.status == 201
    assert +coded == {"encoded StartedVerification": 1, "encoded Verification": 1}
    assert {"reserve", "complete"} <= touched


def test_operations_have_names_for_clients(api: ApiHarness) -> None:
    """Verb and noun in camelCase for each operation and each callback: they become a client's method names."""
    document = api.call("GET", "/openapi.json", key=None).json
    named = {
        operation["operationId"]
        for paths in (document["paths"], document["webhooks"])
        for item in paths.values()
        for operation in item.values()
    }
    verbs = "start|check|get|cancel|redeem|list|receive"
    assert [name for name in named if not re.fullmatch(rf"({verbs})([A-Z][a-z]+)+", name)] == []
    expected = {"startVerification", "checkVerification", "getVerification", "cancelVerification", "redeemReceipt"}
    assert expected | {"listAuditEvents", "getOptOuts", "receiveVerificationApproved"} <= named
