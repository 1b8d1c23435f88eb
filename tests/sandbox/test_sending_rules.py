"""What the carrier accepts and what it refuses, rule by rule."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from otp_service.sandbox.seeds import MOBILE
from tests.sandbox.conftest import BACKUP, PERSON, PROFILE, ManualClock, code_of, inbox, long_code, pool, reply

OTHER_PROFILE = "11111111-1111-4111-8111-111111111111"
LONG_CODE = "/v2/messages/long_code"
POOL = "/v2/messages/number_pool"
SHORT = "/v2/messages/short_code"
GENERIC = "/v2/messages"
ALPHA = "/v2/messages/alphanumeric_sender_id"
A = {"from": BACKUP, "to": PERSON, "text": "x"}
P = {"messaging_profile_id": PROFILE, "to": PERSON, "text": "x"}
N = {"from": "Acme", "messaging_profile_id": PROFILE, "to": "+447700900123", "text": "x"}


@pytest.mark.parametrize(
    ("path", "body", "sender"),
    [
        (LONG_CODE, A, BACKUP),
        (LONG_CODE, A | {"text": None, "media_urls": ["https://x.example/a.png"]}, BACKUP),
        (SHORT, A | {"from": "12345"}, "12345"),
        (GENERIC, A, BACKUP),
        (GENERIC, A | {"messaging_profile_id": PROFILE, "send_at": None}, BACKUP),
        (GENERIC, A | {"from": "12345"}, "12345"),
        (GENERIC, N, "Acme"),
        (ALPHA, N, "Acme"),
        (LONG_CODE, A | {"unknown": 1, "webhook_url": ""}, BACKUP),
    ],
)
def test_accepted(api: httpx.Client, path: str, body: dict[str, Any], sender: str) -> None:
    """Every way of sending takes a good request and names the sender that it used."""
    answer = api.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["from"]["phone_number"] == sender


def test_the_generic_path_sends_from_a_pool(api: httpx.Client) -> None:
    """A profile without a sender means its pool, with the same sticky choice."""
    chosen = api.post(GENERIC, json=P).json()["data"]["from"]["phone_number"]
    assert pool(api).json()["data"]["from"]["phone_number"] == chosen


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "pointer"),
    [
        (LONG_CODE, {"from": BACKUP, "text": "x"}, 422, "10004", "/to"),
        (LONG_CODE, {"to": PERSON, "text": "x"}, 422, "10004", "/from"),
        (POOL, {"to": PERSON, "text": "x"}, 422, "10004", "/messaging_profile_id"),
        (LONG_CODE, A | {"to": 13125550199}, 422, "10026", "/to"),
        (LONG_CODE, A | {"text": ["x"]}, 422, "10026", "/text"),
        (LONG_CODE, A | {"use_profile_webhooks": "yes"}, 422, "10026", "/use_profile_webhooks"),
        (LONG_CODE, A | {"auto_detect": 1}, 422, "10026", "/auto_detect"),
        (LONG_CODE, A | {"media_urls": "https://x.example"}, 422, "10026", "/media_urls"),
        (LONG_CODE, A | {"type": "FAX"}, 422, "10032", "/type"),
        (LONG_CODE, A | {"encoding": "utf8"}, 422, "10032", "/encoding"),
        (LONG_CODE, A | {"webhook_url": "ftp://x.example/"}, 422, "10015", "/webhook_url"),
        (LONG_CODE, A | {"webhook_url": "https://"}, 422, "10015", "/webhook_url"),
        (LONG_CODE, A | {"webhook_failover_url": "file:///etc/passwd"}, 422, "10015", "/webhook_failover_url"),
        (LONG_CODE, A | {"webhook_url": "http://[::1"}, 422, "10015", "/webhook_url"),
        (LONG_CODE, A | {"to": "13125550199"}, 400, "40310", "/to"),
        (LONG_CODE, A | {"to": "+1312555019"}, 400, "40310", "/to"),
        (LONG_CODE, A | {"to": "+1 312 555 0199"}, 400, "40310", "/to"),
        (LONG_CODE, A | {"to": "+13125550199\n"}, 400, "40310", "/to"),
        (LONG_CODE, A | {"to": "+１３１２５５５０１９９"}, 400, "40310", "/to"),
        (LONG_CODE, A | {"to": "+999123456789"}, 400, "40310", "/to"),
        (LONG_CODE, A | {"to": "+881612345678"}, 400, "40310", "/to"),
        (LONG_CODE, A | {"to": "12345"}, 400, "40310", "/to"),
        (LONG_CODE, A | {"to": ""}, 400, "40310", "/to"),
        (LONG_CODE, A | {"text": ""}, 400, "40316", "/text"),
        (LONG_CODE, {"from": BACKUP, "to": PERSON}, 400, "40316", "/text"),
        (LONG_CODE, A | {"type": "SMS", "media_urls": ["https://x.example/a.png"]}, 400, "40304", "/media_urls"),
        (LONG_CODE, A | {"media_urls": ["https://x.example/"] * 11}, 400, "40317", "/media_urls"),
        (LONG_CODE, A | {"media_urls": ["gopher://x.example/"]}, 400, "40317", "/media_urls"),
        (LONG_CODE, A | {"text": "a" * 1531}, 400, "40302", "/text"),
        (LONG_CODE, A | {"text": "я" * 671}, 400, "40302", "/text"),
        (LONG_CODE, A | {"text": "я", "encoding": "gsm7"}, 400, "10015", "/text"),
        (LONG_CODE, A | {"from": "+15005550006"}, 400, "40305", "/from"),
        (LONG_CODE, A | {"from": "+18880000000"}, 400, "40305", "/from"),
        (LONG_CODE, A | {"from": "12345"}, 400, "40305", "/from"),
        (LONG_CODE, A | {"from": "Acme"}, 400, "40305", "/from"),
        (LONG_CODE, A | {"from": MOBILE}, 400, "40305", "/from"),
        (SHORT, A, 400, "40305", "/from"),
        (SHORT, A | {"from": "54321"}, 400, "40305", "/from"),
        (POOL, P | {"messaging_profile_id": OTHER_PROFILE}, 400, "40305", "/messaging_profile_id"),
        (GENERIC, {"to": PERSON, "text": "x"}, 400, "40305", "/from"),
        (GENERIC, A | {"messaging_profile_id": OTHER_PROFILE}, 400, "40305", "/from"),
        (ALPHA, {**N, "messaging_profile_id": None}, 422, "10004", "/messaging_profile_id"),
        (ALPHA, N | {"messaging_profile_id": OTHER_PROFILE}, 400, "40305", "/from"),
        (ALPHA, N | {"from": "TwelveLetter"}, 400, "40305", "/from"),
        (ALPHA, N | {"from": "12345"}, 400, "40305", "/from"),
        (ALPHA, N | {"from": "Ac-me"}, 400, "40305", "/from"),
        (ALPHA, N | {"to": PERSON}, 400, "40301", "/to"),
        (ALPHA, N | {"to": "+14165550123"}, 400, "40301", "/to"),
        (ALPHA, N | {"to": "+17875550123"}, 400, "40301", "/to"),
        (ALPHA, N | {"type": "MMS"}, 400, "40301", "/from"),
        (SHORT, A | {"from": "12345", "type": "MMS"}, 400, "40301", "/from"),
    ],
)
def test_refused(api: httpx.Client, path: str, body: dict[str, Any], status: int, code: str, pointer: str) -> None:
    """Every fault has its status, code and pointer, and leaves nothing behind."""
    answer = api.post(path, json=body)
    assert (answer.status_code, code_of(answer)) == (status, code), answer.text
    error = answer.json()["errors"][0]
    assert error["source"] == {"pointer": pointer}
    assert error["title"] not in {"", "Error"}
    assert error["meta"]["url"].endswith(code)
    assert inbox(api) == []


def test_an_empty_pool_is_named(api: httpx.Client) -> None:
    """A profile that has lost all its numbers answers 40321."""
    for address in [number["id"] for number in api.get("/v2/phone_numbers/messaging?page[size]=250").json()["data"]]:
        api.patch(f"/v2/phone_numbers/{address}/messaging", json={"messaging_profile_id": ""})
    assert code_of(pool(api)) == "40321"


def test_a_pool_without_long_codes_uses_its_toll_free_numbers(api: httpx.Client) -> None:
    """Toll-free numbers serve a pool only where there is no long code."""
    listed = api.get("/v2/phone_numbers/messaging?filter[type]=longcode&page[size]=250").json()["data"]
    for number in listed:
        api.patch(f"/v2/phone_numbers/{number['id']}/messaging", json={"messaging_profile_id": ""})
    assert pool(api).json()["data"]["from"]["phone_number"] == BACKUP


def test_sticky_choice_ends_after_eight_days_or_with_the_number(api: httpx.Client, clock: ManualClock) -> None:
    """The pool lets go of a recipient's number after eight days, or when the number leaves the profile."""

    def chosen() -> str:
        return str(pool(api).json()["data"]["from"]["phone_number"])

    first = chosen()
    clock.advance(8 * 24 * 3600 - 1)
    assert chosen() == first
    clock.advance(2)
    second = chosen()
    assert second != first
    api.patch(f"/v2/phone_numbers/{second}/messaging", json={"messaging_profile_id": ""})
    assert chosen() != second


def test_lookups_end_after_ten_days(api: httpx.Client, clock: ManualClock) -> None:
    """A message is found for ten days, of either direction, and then no more."""
    outbound = long_code(api).json()["data"]["id"]
    inbound = reply(api, "hi").json()["id"]
    clock.advance(10 * 24 * 3600)
    assert api.get(f"/v2/messages/{outbound}").status_code == 200
    assert api.get(f"/v2/messages/{inbound}").json()["data"]["direction"] == "inbound"
    clock.advance(1)
    for gone in (outbound, inbound):
        answer = api.get(f"/v2/messages/{gone}")
        assert (answer.status_code, code_of(answer)) == (404, "10005")


def test_lookups_take_uuids(api: httpx.Client) -> None:
    """An id that is none, or nobody's, is not found."""
    for key in ("nonsense", "00000000-0000-4000-8000-000000000000", "%00", "+1312"):
        assert api.get(f"/v2/messages/{key}").status_code == 404


def test_parts_are_counted_and_billed(api: httpx.Client) -> None:
    """The answer has encoding, parts and a cost that grows with the parts."""
    message = long_code(api, text="€" * 81).json()["data"]
    assert (message["encoding"], message["parts"], message["num_chars"]) == ("GSM-7", 2, 81)
    assert message["cost"] == {"amount": "0.0102", "currency": "USD"}
    forced = long_code(api, text="abc", encoding="ucs2").json()["data"]
    assert (forced["encoding"], forced["parts"]) == ("UCS-2", 1)
