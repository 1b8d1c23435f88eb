"""Starting: the reply, and every refusal of the contract with its status, members and headers."""

from dataclasses import replace

import pytest

from otp_service import bootstrap

from .conftest import ApiHarness, make_settings


def test_a_start_shows_the_whole_verification(api: ApiHarness) -> None:
    """201 with every member of the contract, the number masked, and a request id; nothing of it may be stored."""
    number = api.number()
    answer = api.start(number, metadata={"order": 7})
    assert answer.status == 201
    assert answer.header("Content-Type") == "application/json"
    assert answer.header("Cache-Control") == "no-store"
    shown = answer.json
    assert list(shown) == [
        "verification_id",
        "status",
        "to",
        "sub",
        "channel",
        "purpose",
        "created_at",
        "expires_at",
        "expires_in",
        "checks_left",
        "sends_left",
        "resend_in",
        "deliveries",
        "metadata",
        "version",
        "watch_token",
    ]
    assert shown["to"] == f"+1******{number[-4:]}"
    assert (shown["status"], shown["channel"], shown["purpose"]) == ("pending", "sms", "login")
    assert (shown["expires_in"], shown["checks_left"], shown["sends_left"], shown["resend_in"]) == (300, 5, 3, 30)
    assert shown["metadata"] == {"order": 7}
    (delivery,) = shown["deliveries"]
    assert delivery["delivery_id"].startswith("dlv_")
    assert {name: delivery[name] for name in ("sender", "kind", "status", "carrier_status", "error")} == {
        "sender": "pool",
        "kind": "number_pool",
        "status": "queued",
        "carrier_status": None,
        "error": None,
    }
    assert number.encode() not in answer.body
    assert api.code(shown["verification_id"]).encode() not in answer.body


def test_resend_too_soon_says_when(api: ApiHarness) -> None:
    """429 with the seconds to wait, the same in the body and in Retry-After, and the sends that are left."""
    number = api.number()
    api.started(number)
    answer = api.start(number)
    problem = answer.problem(429, "resend_too_soon")
    assert problem["sends_left"] == 3
    assert 1 <= problem["resend_in"] <= 30
    assert answer.header("Retry-After") == str(problem["resend_in"])


def test_the_last_send_closes_until_expiry(api: ApiHarness) -> None:
    """After the last send: sends_left 0, resend_in null, and Retry-After until the code expires."""
    number = api.number()
    answers = [api.start(number, "twice") for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 200]
    assert answers[0].json["verification_id"] == answers[1].json["verification_id"]
    assert [answer.json["resend_in"] for answer in answers] == [0, None]
    answer = api.start(number, "twice")
    problem = answer.problem(429, "resend_too_soon")
    assert (problem["sends_left"], problem["resend_in"]) == (0, None)
    assert 290 <= int(answer.header("Retry-After") or 0) <= 300


def test_another_context_is_a_conflict(api: ApiHarness) -> None:
    """409 while a verification with another context is pending; the pending one is untouched."""
    number = api.number()
    verification = api.started(number, context={"amount": "10", "payee": "X"})
    api.start(number, context={"amount": "11", "payee": "X"}).problem(409, "context_conflict")
    api.start(number).problem(409, "context_conflict")
    context = {"payee": "X", "amount": "10"}
    assert api.check(verification, api.code(verification), context=context).status == 200


@pytest.mark.parametrize(
    "number",
    [
        "12025550143",
        "+1 202 555 0143",
        "tel:+12025550143",
        "+12025550143;ext=5",
        "+1800FLOWERS",
        "0012025550143",
        "+12025550143\n",
        "+12025550143\u0000",
        "+120255",
        "+1202555014300000",
        "+99912345678",
        "12345",
        "",
    ],
)
def test_only_strict_e164_is_a_number(api: ApiHarness, number: str) -> None:
    """422 for every other spelling, so that one person never has two budgets; the answer does not repeat it."""
    answer = api.start(number)
    answer.problem(422, "invalid_number")
    if len(number) > 6:
        assert number.encode() not in answer.body
    api.call("POST", "/verify/check", {"to": number, "code": "123456"}).problem(422, "invalid_number")


@pytest.mark.parametrize(
    "number",
    [
        "+\uff11\uff12\uff10\uff12\uff15\uff15\uff15\uff10\uff11\uff14\uff13",
        "+\u0661\u0662\u0660\u0662\u0665\u0665\u0665\u0660\u0661\u0664\u0663",
        "\u200b+12025550143",
    ],
)
def test_foreign_digits_are_a_malformed_request(api: ApiHarness, number: str) -> None:
    """400 that points to the field, as for Unicode digits anywhere in a body; the answer does not repeat it."""
    for answer in (api.start(number), api.call("POST", "/verify/check", {"to": number, "code": "123456"})):
        problem = answer.problem(400, "invalid_request")
        assert [error["pointer"] for error in problem["errors"]] == ["/to"]
        assert number.encode() not in answer.body


def test_where_it_may_not_send(api: ApiHarness) -> None:
    """A country that is not on the list, a range of no country, and a channel that no sender serves have own codes."""
    api.start("+447400123456").problem(403, "country_not_allowed")
    api.start("+88213300000", "abroad").problem(403, "destination_blocked")
    api.start(api.number(), channel="whatsapp").problem(422, "channel_unavailable")
    api.start(api.number(), "abroad").problem(422, "channel_unavailable")


def test_an_opted_out_person_is_not_sent_to(api: ApiHarness) -> None:
    """403 that names how the person can opt in again; after START it works again."""
    number = api.number()
    api.opt_out(number)
    problem = api.start(number).problem(403, "opted_out")
    assert "START" in problem["resubscribe"]
    api.opt_out(number, text="START")
    assert api.start(number).status == 201


def test_the_numbers_budget_stops_start_and_check(api: ApiHarness) -> None:
    """Once the number's wrong codes are spent, start and check are 429 with Retry-After, the right code too."""
    number = api.number()
    verification = api.started(number, "strict")
    wrong, right = api.wrong(verification), api.code(verification)
    for _ in range(2):
        api.check(verification, wrong, "strict").problem(422, "code_incorrect")
    for answer in (api.check(verification, right, "strict"), api.start(number, "strict")):
        answer.problem(429, "too_many_wrong_codes")
        assert 3500 <= int(answer.header("Retry-After") or 0) <= 3600
    shown = api.call("GET", f"/verify/{verification}", key="strict").json
    assert (shown["status"], shown["checks_left"]) == ("pending", 3)


def test_the_apps_own_limit(api: ApiHarness) -> None:
    """429 rate_limited with Retry-After until there is a free slot again."""
    assert api.start(api.number(), "capped").status == 201
    answer = api.start(api.number(), "capped")
    answer.problem(429, "rate_limited")
    assert 3500 <= int(answer.header("Retry-After") or 0) <= 3600


def test_a_spoofed_address_is_no_new_budget(api: ApiHarness) -> None:
    """X-Forwarded-For, Forwarded and X-Real-IP change nothing; IPv6 addresses of one /64 are one end user."""
    first, second = "2001:db8:1:2::1", "2001:db8:1:2:ffff::9"
    assert api.start(api.number(), "address", client_ip=first).status == 201
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP"):
        spoofed = {name: "for=203.0.113.9" if name == "Forwarded" else "203.0.113.9"}
        body = {"to": api.number(), "client_ip": second}
        answer = api.call("POST", "/verify/start", body, key="address", headers=spoofed)
        answer.problem(429, "rate_limited")
    assert api.start(api.number(), "address", client_ip="2001:db8:1:3::1").status == 201
    assert api.start(api.number(), "address").status == 201


def test_the_numbers_own_starts_are_limited(api: ApiHarness) -> None:
    """429 rate_limited when a number has been started too often, whatever the purpose."""
    number = api.number()
    for purpose in ("a", "b"):
        api.started(number, "strict", purpose=purpose)
    api.start(number, "strict", purpose="c").problem(429, "rate_limited")


def test_a_full_queue_is_503(api: ApiHarness, tmp_path_factory: pytest.TempPathFactory) -> None:
    """503 queue_full with Retry-After when nobody sends; nothing is written that would grow further."""
    small = make_settings(tmp_path_factory.mktemp("small"), api.settings.redis_url, api.seed, OTP_QUEUE_MAX="1")
    small = replace(small, keyring_path=api.settings.keyring_path)
    bootstrap.accept_keyring(small)  # the store of each test is empty at first, and says nothing of its keyring
    crowded = ApiHarness(bootstrap.build_web(small), small, api.vault, api.seed, api.store)
    number = api.number()
    assert crowded.start(number).status == 201
    answer = crowded.start(number, purpose="other")
    answer.problem(503, "queue_full")
    # A resend of the pending one would need a place as well, but its own refusal comes first.
    crowded.start(number).problem(429, "resend_too_soon")
