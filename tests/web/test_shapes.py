"""The shapes of a request: which types hold what was asked or answered, and how often the reply is encoded."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import FrameType
from typing import Any

import msgspec
import pytest

from otp_service.domain.checking import Approval
from otp_service.web.schemas.verification import StartedVerification, Verification

from .conftest import ApiHarness

REPLIES = (Verification, Approval)
MARK = "the-purpose-of-this-request"
"""Sent as the purpose. Whatever holds it is a shape of the request, or of its answer."""


def marked(value: object) -> bool:
    """Whether the value is the mark, or holds it in a member at any depth."""
    if isinstance(value, str):
        return value == MARK
    if isinstance(value, Mapping):
        return any(map(marked, value.values()))
    if isinstance(value, list | tuple):
        return any(map(marked, value))
    return any(marked(getattr(value, name)) for name in members(value))


def members(value: object) -> list[str]:
    """The names of the members of a value of our own types; none for others."""
    if isinstance(value, msgspec.Struct):
        return list(value.__struct_fields__)
    if is_dataclass(value) and type(value).__module__.startswith("otp_service"):
        return [field.name for field in fields(value)]
    return []


class Shapes:
    """What holds the mark, as it comes up: everything that a function of ours is given, has or returns.

    `types` are those of ours, `mappings` are plain ones, each once.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget what came up before the request that is meant."""
        self.types: set[str] = set()
        self.mappings: list[dict[object, object]] = []

    def watch(self, frame: FrameType, event: str, returned: object) -> None:
        """Look at one function as it returns. Its locals at that moment have what it was given and what it made."""
        if event == "return" and "/otp_service/" in frame.f_code.co_filename:
            for value in [*frame.f_locals.values(), returned]:
                self.look(value)

    def look(self, value: object) -> None:
        """Write down a value that holds the mark."""
        if members(value) and type(value).__name__ not in self.types and marked(value):
            self.types.add(type(value).__name__)
        if isinstance(value, dict) and MARK in value.values() and value not in self.mappings:
            self.mappings.append(value)


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shapes]:
    """What comes up between the first function and the last, and what the encoder is given."""
    found, encode = Shapes(), msgspec.json.encode

    def encoding(value: Any, **options: Any) -> bytes:
        found.look(value)
        return encode(value, **options)

    monkeypatch.setattr(msgspec.json, "encode", encoding)
    sys.setprofile(found.watch)
    yield found
    sys.setprofile(None)


def test_a_start_has_four_types_and_the_scripts_arguments(api: ApiHarness, shapes: Shapes) -> None:
    """From the body to the reply. Who adds one takes another away; deploy/docs/architecture.md names them.

    Plain mappings are the parsed body and the script's arguments, once: they say what the pumping guard looks at of a
    number that it does not know.
    """
    assert api.start(api.guarded_number(), purpose=MARK, client_ip="192.0.2.1").status == 201
    assert shapes.types == {"StartRequest", "StartCommand", "Started", "StartedVerification"}
    assert len(shapes.mappings) == 2


def test_a_check_has_few_types_and_the_scripts_arguments(api: ApiHarness, shapes: Shapes) -> None:
    """The approval is a member of the answer, written as it is. The claims are what is signed as its receipt.

    By number the store's answer also says of which verification it is.

    Plain mappings are the parsed body, the script's arguments (which name the purpose) and the receipt's payload.
    """
    number = api.number()
    verification = api.started(number, purpose=MARK)
    shapes.clear()
    guess = {"to": number, "purpose": MARK, "code": api.code(verification)}
    assert api.call("POST", "/verify/check", guess).status == 200
    assert shapes.types - {"Claims"} == {"CheckRequest", "CheckCommand", "LatestAnswer", "Approved", "Approval"}
    assert len(shapes.mappings) == 3


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
    verbs = "start|check|get|cancel|complete|redeem|list|lift|receive|enroll|confirm|rename|remove|replace|add"
    assert [name for name in named if not re.fullmatch(rf"({verbs})([A-Z][a-z]+)+", name)] == []
    expected = {"startVerification", "checkVerification", "getVerification", "cancelVerification", "redeemReceipt"}
    assert expected | {"listAuditEvents", "getOptOuts", "receiveVerificationApproved"} <= named
