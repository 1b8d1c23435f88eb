"""A start with `dry_run`: what would happen, and nothing happens."""

from typing import Any

import pytest

from .conftest import ApiHarness

AROUND = (b"{keys}", b"{processes}", b"{meta}")
"""Slots of keys that a process writes by itself, as it does `run` of each shard."""

TEXT = "****** is your Acme code. It expires in 5 minutes. Do not share it. Not you? Reply NO. Reply STOP to opt out."


def tried(api: ApiHarness, number: str, app: str = "default", **members: object) -> Any:
    """What a start would do, as 200; the store holds the same before and after."""

    def content() -> dict[bytes, Any]:
        names: Any = api.store.keys("*")
        own = [name for name in names if name.split(b":")[1] not in AROUND and not name.endswith(b":run")]
        return {name: api.store.dump(name) for name in own}

    api.call("GET", "/verify/nothing", key=app)  # the key is made, and known
    before = content()
    answer = api.start(number, app, dry_run=True, **members)
    assert answer.status == 200, answer.body
    assert content() == before
    return answer.json


def refused_by(api: ApiHarness, number: str, app: str = "default", **members: object) -> tuple[str, str | None]:
    """The code and the limit of the refusal that a start would get; a real start gets the same."""
    shown = tried(api, number, app, **members)
    assert shown["would"] == "refuse"
    real = api.start(number, app, **members)
    assert real.json["code"] == shown["refused_by"]["code"]
    wait = shown["refused_by"]["retry_after"]
    assert (wait is None) is (real.header("Retry-After") is None)
    assert wait is None or 0 <= wait - int(real.header("Retry-After") or 0) <= 25
    return shown["refused_by"]["code"], shown["refused_by"]["limit"]


def test_what_would_be_sent_is_shown_with_stars(api: ApiHarness) -> None:
    """Sender, text, encoding and segments; a real start then sends exactly that."""
    number = api.number()
    assert tried(api, number) == {
        "would": "send",
        "sender": "pool",
        "kind": "number_pool",
        "text": TEXT,
        "encoding": "GSM-7",
        "segments": 1,
        "refused_by": None,
    }
    shown = tried(api, number, context={"amount": "5 €", "payee": "Łukasz"}, locale="de")
    assert (shown["encoding"], shown["segments"]) == ("UCS-2", 2)
    assert "****** ist dein Code" in shown["text"]
    assert api.start(number).status == 201


def test_an_idempotency_key_of_a_dry_run_is_not_used_up(api: ApiHarness) -> None:
    """The real start may have it."""
    body, headers = {"to": api.number()}, {"Idempotency-Key": "k-1"}
    for _ in range(2):
        assert api.call("POST", "/verify/start", {**body, "dry_run": True}, headers=headers).json["would"] == "send"
    assert api.call("POST", "/verify/start", {**body, "dry_run": False}, headers=headers).status == 201


@pytest.mark.parametrize(
    ("number", "app", "code"),
    [
        ("12025550143", "default", "invalid_number"),
        ("+15551234567", "default", "invalid_number"),
        ("+447400123456", "default", "country_not_allowed"),
        ("+19002345678", "default", "destination_blocked"),
        ("+12025550143", "abroad", "channel_unavailable"),
    ],
)
def test_what_would_be_refused_before_the_store_is_said(api: ApiHarness, number: str, app: str, code: str) -> None:
    """200 with the code; nobody would send."""
    assert refused_by(api, number, app) == (code, None)
    assert tried(api, number, app)["sender"] is None


def test_each_limit_that_would_refuse_is_named(api: ApiHarness) -> None:
    """Opt-outs, wrong codes, the ladder, the number's caps, the caller's own limits; with the first sender's text."""
    opted, locked, twice, capped = (api.number() for _ in range(4))
    api.opt_out(opted)
    assert refused_by(api, opted) == ("opted_out", None)
    started = api.started(locked, "strict")
    for _ in range(2):
        api.check(started, api.wrong(started), "strict")
    assert refused_by(api, locked, "strict") == ("too_many_wrong_codes", "wrong_codes_per_number")
    api.started(twice)
    assert refused_by(api, twice) == ("resend_too_soon", "resend_after")
    assert tried(api, twice)["text"] == TEXT
    for purpose in "abcde":
        api.started(capped, purpose=purpose)
    assert refused_by(api, capped) == ("rate_limited", "service.sends_per_number")
    address = {"client_ip": "203.0.113.80"}
    assert tried(api, api.number(), "address", **address)["would"] == "send"
    api.started(api.number(), "address", **address)
    assert refused_by(api, api.number(), "address", **address)[0] == "rate_limited"


def test_a_malformed_dry_run_is_400(api: ApiHarness) -> None:
    """As any other start."""
    api.start(api.number(), dry_run="yes").problem(400, "invalid_request")
    api.start(api.number(), dry_run=True, locale=7).problem(400, "invalid_request")
