"""Numbers: who may receive a code, and that two spellings of a number are one person."""

from dataclasses import replace

import pytest

from otp_service import bootstrap

from .conftest import PROFILE, ApiHarness
from .webhook_events import finalized

# ---- numbers: who may receive a code --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "app", "status", "code"),
    [
        ("+15551234567", "everywhere", 422, "invalid_number"),
        ("+19112345678", "everywhere", 422, "invalid_number"),
        ("+19999999999", "default", 422, "invalid_number"),
        ("+19990123456", "default", 422, "invalid_number"),
        ("+447700900123", "everywhere", 422, "invalid_number"),
        ("+12647369616", "default", 403, "country_not_allowed"),
        ("+12425551234", "default", 403, "country_not_allowed"),
        ("+19002345678", "default", 403, "destination_blocked"),
        ("+13129762345", "default", 403, "destination_blocked"),
        ("+18882345678", "everywhere", 403, "destination_blocked"),
        ("+447640123456", "everywhere", 403, "destination_blocked"),
        ("+881612345678", "default", 403, "destination_blocked"),
        ("+447012345678", "default", 403, "country_not_allowed"),
        ("+442079461000", "support", 403, "destination_blocked"),
        ("+14165550123", "support", 403, "country_not_allowed"),
        ("+19002345678", "support", 403, "destination_blocked"),
    ],
)
def test_a_code_goes_to_numbers_of_people_in_listed_countries(
    api: ApiHarness, number: str, app: str, status: int, code: str
) -> None:
    """Each number has its own refusal, and nothing of it is kept; the answer does not repeat the number."""
    answer = api.start(number, app)
    answer.problem(status, code)
    assert number.encode() not in answer.body


@pytest.mark.parametrize("number", ["+18442345678", "+17872345678", "+447781123456", "+12025550143"])
def test_an_app_lists_the_kinds_and_groups_that_it_sends_to(api: ApiHarness, number: str) -> None:
    """A toll-free number, an island of the United States, Guernsey, and a number that may be mobile."""
    assert api.start(number, "support").status == 201


def test_an_area_code_newer_than_the_library_is_sent_to(api: ApiHarness) -> None:
    """436 is in Ohio, and the library does not know it."""
    assert api.start("+14362345678").status == 201


def test_with_the_real_carrier_the_sandboxes_numbers_are_none(api: ApiHarness) -> None:
    """422 on start and on check by number where the carrier's address is not on loopback; looking up still works."""
    assert api.start("+12025550143").status == 201
    real = replace(api.settings, telnyx_base_url="https://api.telnyx.com/v2")
    bootstrap.accept_keyring(real)  # the store of each test is empty at first, and says nothing of its keyring
    beside = ApiHarness(bootstrap.build_web(real), real, api.vault, api.seed, api.store)
    beside.start("+12025550143").problem(422, "invalid_number")
    beside.call("POST", "/verify/check", {"to": "+12025550143", "code": "123456"}).problem(422, "invalid_number")
    assert beside.call("GET", "/optouts/%2B12025550143").status == 200
    assert beside.start("+12025550243").status == 201


SPELLINGS = [("+5491123456789", "+541123456789"), ("+525512345678", "+5215512345678")]


# ---- numbers: one handset, one person -------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [*SPELLINGS, *(pair[::-1] for pair in SPELLINGS)])
def test_two_spellings_of_a_handset_are_one_verification(api: ApiHarness, pair: tuple[str, str]) -> None:
    """The cool-down, a check by number, wrong codes and the record do not depend on the spelling."""
    one, other = pair
    started = api.started(one, "everywhere")
    api.start(other, "everywhere").problem(429, "resend_too_soon")
    guess = {"to": other, "code": api.code(started)}
    assert api.call("POST", "/verify/check", guess, key="everywhere").json["verification_id"] == started
    page = api.call("GET", f"/audit/events?number=%2B{other[1:]}", key="everywhere").json
    assert started in {event["verification_id"] for event in page["events"]}


@pytest.mark.parametrize("pair", [*SPELLINGS, *(pair[::-1] for pair in SPELLINGS)])
def test_a_reply_in_another_spelling_is_the_same_persons(api: ApiHarness, pair: tuple[str, str]) -> None:
    """STOP from one spelling refuses the other, START from the other lets both through again."""
    one, other = pair
    api.opt_out(one)
    api.start(other, "everywhere").problem(403, "opted_out")
    shown = api.call("GET", f"/optouts/%2B{other[1:]}", key="everywhere").json
    assert [entry["opted_out"] for entry in shown["profiles"] if entry["messaging_profile_id"] == PROFILE] == [True]
    api.opt_out(other, text="START")
    assert api.start(one, "everywhere").status == 201


@pytest.mark.parametrize("pair", [*SPELLINGS, *(pair[::-1] for pair in SPELLINGS)])
def test_a_report_in_another_spelling_is_of_the_same_delivery(api: ApiHarness, pair: tuple[str, str]) -> None:
    """The carrier may name the recipient in the other spelling: the delivery moves all the same."""
    one, other = pair
    shown = api.start(one, "everywhere").json
    delivery = shown["deliveries"][0]["delivery_id"]
    assert api.hook(finalized(other, delivery, "delivered"), f"/{delivery}").status == 200
    now = api.call("GET", f"/verify/{shown['verification_id']}", key="everywhere").json
    assert now["deliveries"][0]["status"] == "delivered"
