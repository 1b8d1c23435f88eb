"""Numbers, mobile numbers, bulk orders, and the senders that a configuration adds."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.seeds import MOBILE, POOL, PROFILE_ID, UNASSIGNED, SandboxSender
from otp_service.sandbox.server import SandboxServer
from tests.sandbox.conftest import (
    BACKUP,
    KEY,
    PERSON,
    PROFILE,
    ManualClock,
    chaos,
    code_of,
    eventually,
    inbox,
    long_code,
    pool,
    reply,
)

LIST = "/v2/phone_numbers/messaging"
UNKNOWN_PROFILE = "33333333-3333-4333-8333-333333333333"


def _numbers(api: httpx.Client, **params: Any) -> list[str]:
    listed = api.get(LIST, params={"page[size]": 250} | params).json()["data"]
    return [number["phone_number"] for number in listed]


def test_seeds(api: httpx.Client) -> None:
    """The documented numbers exist, each where it belongs."""
    everything = api.get(LIST, params={"page[size]": 250}).json()["data"]
    profiles = {number["phone_number"]: number["messaging_profile_id"] for number in everything}
    assert profiles == {
        BACKUP: PROFILE,
        **dict.fromkeys(POOL, PROFILE),
        "12345": PROFILE,
        **dict.fromkeys(UNASSIGNED, None),
    }
    assert tuple(f"+1888000000{i}" for i in range(10)) == UNASSIGNED
    assert len(POOL) == 10
    kinds = {number["phone_number"]: number["type"] for number in everything}
    assert (kinds[BACKUP], kinds[POOL[0]], kinds["12345"], kinds[UNASSIGNED[0]]) == (
        "tollfree",
        "longcode",
        "shortcode",
        "tollfree",
    )
    assert len({number["id"] for number in everything}) == len(everything)
    (mobile,) = api.get("/v2/mobile_phone_numbers/messaging").json()["data"]
    assert (mobile["phone_number"], mobile["type"], mobile["messaging_product"]) == (MOBILE, "longcode", "P2P")


def test_filters_sort_and_pages(api: httpx.Client) -> None:
    """Every filter of the listing narrows it, sorting sorts, pages are cut as asked."""
    assert len(_numbers(api, **{"filter[messaging_profile_id]": PROFILE})) == 12
    assert _numbers(api, **{"filter[phone_number]": f"{BACKUP},{POOL[1]}"}) == [BACKUP, POOL[1]]
    assert _numbers(api, **{"filter[phone_number][contains]": "888000"}) == list(UNASSIGNED)
    assert _numbers(api, **{"filter[type]": "shortcode"}) == ["12345"]
    assert set(_numbers(api, **{"filter[type]": "longcode"})) == set(POOL)
    assert _numbers(api, **{"sort[phone_number]": "desc"}) == sorted(_numbers(api), reverse=True)
    assert _numbers(api, **{"sort[phone_number]": "asc"}) == sorted(_numbers(api))
    first = api.get(LIST).json()
    assert len(first["data"]) == 20
    assert first["meta"] == {"total_pages": 2, "total_results": 22, "page_number": 1, "page_size": 20}
    assert len(api.get(LIST, params={"page[number]": 2}).json()["data"]) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("filter[type]", "mobile"),
        ("sort[phone_number]", "up"),
        ("filter[messaging_profile_id]", "x"),
        ("page[size]", "251"),
    ],
)
def test_bad_parameters(api: httpx.Client, name: str, value: str) -> None:
    """A parameter that cannot be used is a 400 that names it."""
    answer = api.get(LIST, params={name: value})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"] == {"parameter": name}


def test_a_number_is_found_by_id_and_by_itself(api: httpx.Client) -> None:
    """Its id, its E.164 form with and without percent-encoding, all name the number."""
    listed = api.get(LIST, params={"filter[phone_number]": BACKUP}).json()["data"][0]
    for key in (listed["id"], BACKUP, BACKUP.replace("+", "%2B")):
        assert api.get(f"/v2/phone_numbers/{key}/messaging").json()["data"] == listed
    mobile = api.get("/v2/mobile_phone_numbers/messaging").json()["data"][0]
    for key in (mobile["id"], MOBILE):
        assert api.get(f"/v2/mobile_phone_numbers/{key}/messaging").json()["data"] == mobile


@pytest.mark.parametrize(
    "path",
    [
        "/v2/phone_numbers/1/messaging",
        f"/v2/phone_numbers/{MOBILE}/messaging",
        f"/v2/mobile_phone_numbers/{BACKUP}/messaging",
        "/v2/messaging_numbers_bulk_updates/00000000-0000-0000-0000-000000000000",
    ],
)
def test_unknown_things_are_not_found(api: httpx.Client, path: str) -> None:
    """What is not the account's, or of the other listing, is 404 10005."""
    answer = api.get(path)
    assert (answer.status_code, code_of(answer)) == (404, "10005")


def test_update(api: httpx.Client, clock: ManualClock) -> None:
    """A PATCH changes what it names: null keeps, an empty string takes off the profile."""
    path = f"/v2/phone_numbers/{UNASSIGNED[0]}/messaging"
    clock.advance(60)
    changed = api.patch(path, json={"messaging_profile_id": PROFILE, "tags": ["otp", "us"]}).json()["data"]
    assert (changed["messaging_profile_id"], changed["tags"]) == (PROFILE, ["otp", "us"])
    assert changed["updated_at"] > changed["created_at"]
    assert long_code(api, **{"from": UNASSIGNED[0]}).status_code == 200
    kept = api.patch(path, json={"messaging_profile_id": None, "messaging_product": "A2P"}).json()["data"]
    assert (kept["messaging_profile_id"], kept["tags"]) == (PROFILE, ["otp", "us"])
    assert api.patch(path, json={"messaging_profile_id": ""}).json()["data"]["messaging_profile_id"] is None
    assert code_of(long_code(api, **{"from": UNASSIGNED[0]})) == "40305"


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"messaging_profile_id": UNKNOWN_PROFILE}, "10027", "/messaging_profile_id"),
        ({"messaging_profile_id": 5}, "10026", "/messaging_profile_id"),
        ({"messaging_product": "P2P"}, "10032", "/messaging_product"),
        ({"messaging_product": "X"}, "10032", "/messaging_product"),
        ({"tags": "otp"}, "10026", "/tags"),
        ({"tags": ["x"] * 51}, "10033", "/tags"),
    ],
)
def test_bad_updates(api: httpx.Client, body: dict[str, Any], code: str, pointer: str) -> None:
    """A change that cannot be is 422, and nothing changes."""
    path = f"/v2/phone_numbers/{BACKUP}/messaging"
    before = api.get(path).json()
    answer = api.patch(path, json=body)
    assert (answer.status_code, code_of(answer)) == (422, code)
    assert answer.json()["errors"][0]["source"] == {"pointer": pointer}
    assert api.get(path).json() == before


def test_health_follows_the_traffic(http: httpx.Client) -> None:
    """Counts and ratios come from what was really sent, delivered, blocked as spam and received."""
    path = f"/v2/phone_numbers/{BACKUP}/messaging"
    assert http.get(path).json()["data"]["health"] == {
        "message_count": 0,
        "inbound_outbound_ratio": 0.0,
        "success_ratio": 1.0,
        "spam_ratio": 0.0,
    }
    chaos(http, delivery={"delay_ms": 0})
    for _ in range(3):
        long_code(http)
    chaos(http, delivery={"outcome": "delivery_failed", "error_code": "40002"})
    long_code(http)
    reply(http, "thanks")
    reply(http, "bye")
    expected = {"message_count": 6, "inbound_outbound_ratio": 0.5, "success_ratio": 0.75, "spam_ratio": 0.25}
    eventually(lambda: http.get(path).json()["data"]["health"] == expected)


# -- bulk orders --------------------------------------------------------------------------------------------

BULK = ("/v2/messaging_numbers_bulk_updates", "/v2/messaging_numbers/bulk_updates")


@pytest.mark.parametrize("path", BULK)
def test_a_bulk_order_makes_progress(carrier: Carrier, api: httpx.Client, clock: ManualClock, path: str) -> None:
    """All pending at first, then one by one to success; a number of somebody else's fails."""
    numbers = [*UNASSIGNED, "+14155550000"]
    order = api.post(path, json={"messaging_profile_id": PROFILE, "numbers": numbers}).json()["data"]
    assert (order["pending"], order["success"], order["failed"]) == (numbers, [], [])

    def still_pending() -> list[str]:
        for each in BULK:
            now = api.get(f"{each}/{order['order_id']}").json()["data"]
            assert sorted(now["pending"] + now["success"] + now["failed"]) == sorted(numbers)
        pending: list[str] = now["pending"]
        return pending

    for done in range(1, len(numbers) + 1):
        clock.advance(0.04)
        carrier.scheduler.wake()
        eventually(lambda done=done: still_pending() == numbers[done:])  # type: ignore[misc]
    final = api.get(f"{path}/{order['order_id']}").json()["data"]
    assert (final["success"], final["failed"]) == (list(UNASSIGNED), ["+14155550000"])
    assert long_code(api, **{"from": UNASSIGNED[9]}).status_code == 200


def test_a_bulk_order_can_take_off(http: httpx.Client) -> None:
    """An empty profile takes numbers off theirs."""
    http.post(BULK[0], json={"messaging_profile_id": "", "numbers": [BACKUP], "assign_only": True})
    eventually(lambda: http.get(f"/v2/phone_numbers/{BACKUP}/messaging").json()["data"]["messaging_profile_id"] is None)


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"numbers": [BACKUP]}, "10004", "/messaging_profile_id"),
        ({"messaging_profile_id": PROFILE}, "10004", "/numbers"),
        ({"messaging_profile_id": PROFILE, "numbers": []}, "10004", "/numbers"),
        ({"messaging_profile_id": PROFILE, "numbers": BACKUP}, "10026", "/numbers"),
        ({"messaging_profile_id": PROFILE, "numbers": [BACKUP, "x"]}, "10015", "/numbers/1"),
        ({"messaging_profile_id": PROFILE, "numbers": [BACKUP] * 1001}, "10033", "/numbers"),
        ({"messaging_profile_id": UNKNOWN_PROFILE, "numbers": [BACKUP]}, "10027", "/messaging_profile_id"),
        ({"messaging_profile_id": PROFILE, "numbers": [BACKUP], "assign_only": "no"}, "10026", "/assign_only"),
    ],
)
def test_bad_bulk_orders(api: httpx.Client, body: dict[str, Any], code: str, pointer: str) -> None:
    """An order that cannot be is 422 with its pointer."""
    answer = api.post(BULK[0], json=body)
    assert (answer.status_code, code_of(answer)) == (422, code)
    assert answer.json()["errors"][0]["source"] == {"pointer": pointer}


# -- senders of a configuration -----------------------------------------------------------------------------


def test_configured_senders_are_known() -> None:
    """A configured sender can send: its profile and number exist, also after a reset."""
    mine = "44444444-4444-4444-8444-444444444444"
    senders = [
        SandboxSender("long_code", mine, "+14155550123"),
        SandboxSender("long_code", None, "+14155550124"),
        SandboxSender("short_code", mine, "55555"),
        SandboxSender("alphanumeric", mine, "Acme"),
        SandboxSender("whatsapp", "55555555-5555-4555-8555-555555555555", "+14155550125"),
    ]
    template = {"type": "template", "template": {"template_id": "t"}}
    with (
        SandboxServer(senders=senders) as server,
        httpx.Client(base_url=server.url, headers=KEY, trust_env=False, verify=False) as http,
    ):
        for _ in range(2):
            assert long_code(http, **{"from": "+14155550123"}).json()["data"]["messaging_profile_id"] == mine
            assert long_code(http, **{"from": "+14155550124"}).status_code == 200
            assert (
                http.post("/v2/messages/short_code", json={"from": "55555", "to": PERSON, "text": "x"}).json()["data"][
                    "messaging_profile_id"
                ]
                == mine
            )
            alpha = {"from": "Acme", "messaging_profile_id": mine, "to": "+447700900123", "text": "x"}
            assert http.post("/v2/messages/alphanumeric_sender_id", json=alpha).status_code == 200
            whatsapp = {"from": "+14155550125", "to": PERSON, "whatsapp_message": template}
            assert http.post("/v2/messages/whatsapp", json=whatsapp).status_code == 200
            assert long_code(http).status_code == 200
            http.post("/sandbox/reset")


def test_a_configured_pool_gets_numbers_if_it_has_none() -> None:
    """A pool on an unseen profile gets ten numbers of its own; one that has numbers keeps to them."""
    mine, ours = "44444444-4444-4444-8444-444444444444", "66666666-6666-4666-8666-666666666666"
    carrier = Carrier(
        clock=ManualClock(),
        senders=[
            SandboxSender("number_pool", mine, None),
            SandboxSender("number_pool", PROFILE_ID, None),
            SandboxSender("number_pool", ours, None),
            SandboxSender("long_code", ours, "+14155550123"),
        ],
    )
    by_profile: dict[str | None, set[str]] = {}
    for number in carrier.numbers.list(mobile=False):
        by_profile.setdefault(number.profile_id, set()).add(number.phone_number)
    assert len(by_profile[mine]) == 10
    assert by_profile[mine].isdisjoint(POOL)
    assert by_profile[ours] == {"+14155550123"}
    assert by_profile[PROFILE_ID] == {BACKUP, *POOL, "12345"}
    carrier.close()


def test_configured_seeds_can_move(api: httpx.Client) -> None:
    """A seeded number that the configuration puts on another profile is there."""
    mine = "44444444-4444-4444-8444-444444444444"
    carrier = Carrier(clock=ManualClock(), senders=[SandboxSender("long_code", mine, BACKUP)])
    number = carrier.numbers.get(BACKUP)
    assert number is not None
    assert number.profile_id == mine
    carrier.close()


def test_one_recipient_two_senders(http: httpx.Client) -> None:
    """A route that goes from the pool to the backup really changes the sender."""
    pool(http)
    long_code(http)
    senders = eventually(lambda: len(inbox(http)) == 2 and {message["from"] for message in inbox(http)})
    assert isinstance(senders, set)
    assert len(senders) == 2
