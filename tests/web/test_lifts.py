"""After a lift the person's next start passes, whatever was done with their number; each lift is one event."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Any

from otp_service import bootstrap
from otp_service.storage.schema import Keys

from .conftest import ApiHarness
from .days import stay_within_a_day
from .people import Person
from .test_people import REASON, events, lift, person

VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def blocks(api: ApiHarness, number: str, app: str) -> list[tuple[str, str | None, str | None]]:
    """What refuses now: code, limit, what takes it away."""
    return [(one["code"], one["limit"], one["lift"]) for one in person(api, number, app)["blocks"]]


def lifted_by_operator(api: ApiHarness, number: str) -> list[str]:
    """The same as `lift lock`, for all apps."""
    bootstrap.accept_keyring(api.settings)
    with bootstrap.open_support(api.settings) as support:
        return support.lift(number, "lock", REASON, None)


def test_a_verification_whose_sends_are_used_up_is_canceled(api: ApiHarness) -> None:
    """So that the next start makes a new one; a code that may still be sent again stays."""
    number = api.number()
    first = api.started(number, "limited")
    assert lift(api, number, "lock", "limited") == ["starts_per_number", "service.sends_per_number", "resend_after"]
    assert api.start(number, "limited").json["verification_id"] == first
    wait = int(api.start(number, "limited").header("Retry-After") or 0)
    (block,) = person(api, number, "limited")["blocks"]
    assert (block["code"], block["limit"], block["purpose"]) == ("resend_too_soon", "resend_after", "login")
    assert wait - 60 <= block["retry_after"] <= wait
    assert "verification.sends" in lift(api, number, "lock", "limited")
    assert api.call("GET", f"/verify/{first}", key="limited").json["status"] == "canceled"
    assert api.start(number, "limited").status == 201
    assert len(events(api, "person.lock_lifted")) == 2


def test_limits_of_the_number_on_other_shards_are_shown_and_lifted(api: ApiHarness) -> None:
    """Those of the app; of one that apps share an app neither learns what others count nor lifts it."""
    number = api.number()
    api.started(number, "numbered")
    api.start(number, "numbered").problem(429, "rate_limited")
    assert blocks(api, number, "numbered") == [("rate_limited", "numbers", "lock")]
    (app,) = person(api, number, "numbered")["apps"]
    assert [(one["used"], one["limit"]) for one in app["limits"] if one["name"] == "numbers"] == [(1, 1), (1, 9)]
    assert "numbers" in lift(api, number, "lock", "numbered")
    assert api.start(number, "numbered").status == 200
    api.started(number, "sharing2", purpose="other")
    assert blocks(api, number, "sharing") == [("rate_limited", "persons", "lock")]
    (app,) = person(api, number, "sharing")["apps"]
    assert [one["used"] for one in app["limits"] if one["name"] == "persons"] == [None]
    assert lift(api, number, "lock", "sharing") == []
    api.start(number, "sharing").problem(429, "rate_limited")
    assert lifted_by_operator(api, number).count("persons") == 1
    assert api.start(number, "sharing").status == 201


def test_limits_of_the_number_and_an_address_are_shown_and_lifted(api: ApiHarness) -> None:
    """No lift knows the addresses; but what refused the number within the hour is remembered, one per address."""
    number, addresses = api.number(), ("198.51.100.91", "198.51.100.92")
    for address in addresses:
        for purpose in "ab":
            assert api.start(number, "paired", client_ip=address, purpose=address + purpose).status in (200, 201)
        api.start(number, "paired", client_ip=address).problem(429, "rate_limited")
    assert blocks(api, number, "paired") == [("rate_limited", "pairs", "lock")] * 2
    assert lift(api, number, "lock", "paired").count("pairs") == 1
    for address in addresses:
        assert api.start(number, "paired", client_ip=address, purpose=address).status == 201
    assert ("rate_limited", "pairs", "lock") not in blocks(api, number, "paired")


def test_wrong_codes_of_the_number_and_an_address_are_lifted(api: ApiHarness) -> None:
    """A person who was kept from checking at an address checks again."""
    number, here = api.number(), "198.51.100.93"
    started = api.started(number, "paired")
    api.check(started, api.wrong(started), "paired", client_ip=here).problem(422, "code_incorrect")
    api.check(started, api.code(started), "paired", client_ip=here).problem(429, "too_many_wrong_codes")
    assert "paired_guesses" in lift(api, number, "lock", "paired")
    assert api.check(started, api.code(started), "paired", client_ip=here).status == 200


def test_what_only_monitors_is_shown_and_refuses_nothing(api: ApiHarness) -> None:
    """With how much it has counted."""
    number = api.number()
    api.started(number, "watched")
    assert ("rate_limited", "watched", "lock") not in blocks(api, number, "watched")
    (app,) = person(api, number, "watched")["apps"]
    (limit,) = [one for one in app["limits"] if one["name"] == "watched"]
    assert (limit["used"], limit["limit"], limit["mode"], limit["retry_after"]) == (1, 1, "monitor", None)


def guard_of(api: ApiHarness, number: str) -> Any:
    """How the guard sees it."""
    return person(api, number)["apps"][0]["guard"]


def test_the_guard_lets_the_next_sends_pass(api: ApiHarness) -> None:
    """Two of them, which fill no budget; the block stays spent for others."""
    block = [f"+12023305{line:03d}" for line in range(8)]
    assert [api.start(number).status for number in block[:6]] == [201] * 5 + [403]
    refused = block[5]
    assert blocks(api, refused, "default") == [("guard_refused", "block_1k", "lock")]
    seen = guard_of(api, refused)
    assert (seen["state"], seen["refused_by"]) == ("unknown", "block_1k")
    assert next((one["name"], round(one["used"]), one["limit"]) for one in seen["blocks"]) == ("block_1k", 5, 5)
    assert lift(api, refused, "lock") == ["guard"]
    assert (blocks(api, refused, "default"), guard_of(api, refused)["state"]) == ([], "passed")
    assert [api.start(refused, purpose=purpose).status for purpose in "abc"] == [201, 201, 403]
    api.start(block[6]).problem(403, "guard_refused")
    assert lifted_by_operator(api, block[6]) == ["guard"]
    assert api.start(block[6]).status == 201
    details = [event["detail"] for event in events(api, "person.lock_lifted")]
    assert [detail["guard"] for detail in details] == [["default"], ["default"]]


def test_a_number_that_an_address_kept_out_passes_after_a_lift(api: ApiHarness) -> None:
    """The address is not known to whoever supports the person; that the guard refused them is."""
    numbers = [f"+1202{330 + line}8000" for line in range(6)]
    address = "198.51.100.77"
    assert [api.start(number, client_ip=address).status for number in numbers] == [201] * 5 + [403]
    assert blocks(api, numbers[5], "default") == []
    assert lift(api, numbers[5], "lock") == ["guard"]
    assert api.start(numbers[5], client_ip=address).status == 201


def test_checks_without_the_verifier_do_not_outlast_a_lift(api: ApiHarness) -> None:
    """With a challenge they were never judged; the owner's next code is sent and approved."""
    number = api.number()
    started = api.started(number, code_challenge=CHALLENGE)
    assert [api.check(started, "123456").status for _ in range(3)] == [422, 422, 429]
    lift(api, number, "lock")
    assert api.start(number, code_challenge=CHALLENGE).status == 200
    assert api.check(started, api.code(started), code_verifier=VERIFIER).status == 200


def test_the_wrong_codes_of_the_subject_are_lifted(api: ApiHarness) -> None:
    """The subject for whom the number's latest code was sent: its next check is judged."""
    number, ann = api.number(), Person(api, "ann")
    api.started(number, subject=ann.subject)
    ann.recovery_codes()
    for _ in range(6):
        answer = ann.check("AAAA-BBBB-CCCC-DDDD")
    answer.problem(429, "too_many_wrong_codes")
    assert "factor.wrong_codes" in lift(api, number, "lock")
    ann.check("AAAA-BBBB-CCCC-DDDD").problem(422, "code_incorrect")
    (event,) = events(api, "factor.lifted")
    assert event["detail"]["reason"] == REASON


def test_cool_down_caps_and_wrong_codes_are_lifted_by_an_operator(api: ApiHarness) -> None:
    """Of all apps at once."""
    number = api.number()
    for purpose in "abcde":
        started = api.started(number, "everywhere", purpose=purpose)
        for _ in range(4):
            api.check(started, api.wrong(started), "everywhere")
    api.start(number).problem(429, "rate_limited")
    api.start(number, "everywhere", purpose="f").problem(429, "too_many_wrong_codes")
    lifted_by_operator(api, number)
    assert api.start(number).status == 201
    assert api.start(number, "everywhere", purpose="f").status == 201


def test_what_an_app_keeps_apart_may_not_be_known(api: ApiHarness) -> None:
    """In a Cluster the app's part may not answer while the number's does: the rest is shown, and a lift is done."""
    number, keys = api.number(), Keys(api.settings.shards)
    for key in (keys.blocks("spending", "US"), keys.spend("spending")):
        api.store.set(key, "of another type: whatever reads it gets no answer")
    shown = person(api, number, "spending")
    assert [(one["code"], one["limit"]) for one in shown["blocks"]] == [("store_unavailable", "spend_limit")]
    assert shown["apps"][0]["guard"] is None
    api.start(number, "spending").problem(503, "store_unavailable")
    assert lift(api, number, "lock", "spending") == ["guard"]


def test_a_spent_day_is_shown_and_not_lifted(api: ApiHarness) -> None:
    """It refuses everybody in the country: no lift of a person's changes that."""
    stay_within_a_day(api)
    canadian = [f"+1416555{line}" for line in ("0301", "0302", "0303")]
    assert [api.start(number, "spending").status for number in canadian] == [201, 201, 403]
    (block,) = person(api, canadian[2], "spending")["blocks"]
    assert (block["code"], block["limit"], block["lift"]) == ("guard_refused", "spend_limit", None)
    assert 0 < block["retry_after"] <= 86_400
    assert lift(api, canadian[2], "lock", "spending") == []
    assert person(api, api.number(), "spending")["blocks"] == []
