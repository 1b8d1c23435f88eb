"""Every refusal of the contract: its status, code, members and headers, and which one answers first."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from otp_service import bootstrap

from .conftest import PROFILE, ApiHarness, make_settings
from .test_hooks import finalized

UNKNOWN_ID = "vrf_" + "a" * 32


def until_expired(api: ApiHarness, verification_id: str) -> None:
    """Wait for the end of a code that lives one second."""
    deadline = time.monotonic() + 5
    while api.call("GET", f"/verify/{verification_id}", key="brief").json["status"] == "pending":
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- start ----------------------------------------------------------------------------------------------------------


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
    crowded = ApiHarness(bootstrap.build_web(small), small, api.vault, api.seed, api.store)
    number = api.number()
    assert crowded.start(number).status == 201
    answer = crowded.start(number, purpose="other")
    answer.problem(503, "queue_full")
    # A resend of the pending one would need a place as well, but its own refusal comes first.
    crowded.start(number).problem(429, "resend_too_soon")


# ---- check ----------------------------------------------------------------------------------------------------------


def test_a_right_code_is_the_only_2xx(api: ApiHarness) -> None:
    """200 with status, time and receipt; at once again, and ever after, it is 410 already_approved."""
    number = api.number()
    verification = api.started(number)
    code = api.code(verification)
    approved = api.check(verification, code)
    assert approved.status == 200
    members = ["verification_id", "status", "approved_at", "to", "purpose", "channel", "sub", "receipt"]
    assert list(approved.json) == members
    assert approved.json["status"] == "approved"
    assert approved.header("Cache-Control") == "no-store"
    for guess in (code, "000000", "0000"):
        api.check(verification, guess).problem(410, "already_approved")
        by_number = api.call("POST", "/verify/check", {"to": number, "code": guess})
        by_number.problem(410, "already_approved")


def test_wrong_codes_count_down_to_the_end(api: ApiHarness) -> None:
    """422 with the tries left four times, then 410 for the fifth and for everything after it, the right code too."""
    verification = api.started(api.number())
    right, wrong = api.code(verification), api.wrong(verification)
    for left in (4, 3, 2, 1):
        assert api.check(verification, wrong).problem(422, "code_incorrect")["checks_left"] == left
    api.check(verification, wrong).problem(410, "attempts_exhausted")
    for guess in (right, wrong):
        api.check(verification, guess).problem(410, "attempts_exhausted")
    assert api.call("GET", f"/verify/{verification}").json["status"] == "exhausted"


def test_a_wrong_context_is_a_wrong_code(api: ApiHarness) -> None:
    """422 and one try less for a missing, another or an additional context; only the canonical same one passes."""
    context = {"amount": "10", "payee": "X"}
    verification = api.started(api.number(), context=context)
    code = api.code(verification)
    others: list[dict[str, str]] = [{}, {"amount": "10.00", "payee": "X"}, {**context, "z": ""}]
    for left, other in zip((4, 3, 2), others, strict=True):
        assert api.check(verification, code, context=other).problem(422, "code_incorrect")["checks_left"] == left
    assert api.check(verification, code, context=dict(reversed(context.items()))).status == 200


def test_how_a_verification_ended_is_told(api: ApiHarness) -> None:
    """Canceled and expired verifications say so by id and by number; a second cancel as well."""
    number = api.number()
    verification = api.started(number)
    code = api.code(verification)
    canceled = api.call("POST", f"/verify/{verification}/cancel")
    assert (canceled.status, canceled.json["status"]) == (200, "canceled")
    assert canceled.json["resend_in"] is None
    api.call("POST", f"/verify/{verification}/cancel").problem(410, "verification_canceled")
    api.check(verification, code).problem(410, "verification_canceled")
    brief_number = api.number()
    brief = api.started(brief_number, "brief")
    late = api.code(brief)
    until_expired(api, brief)
    api.check(brief, late, "brief").problem(410, "verification_expired")
    body = {"to": brief_number, "code": late}
    api.call("POST", "/verify/check", body, key="brief").problem(410, "verification_expired")
    api.call("POST", f"/verify/{brief}/cancel", key="brief").problem(410, "verification_expired")


def test_a_new_start_after_an_end_is_a_new_verification(api: ApiHarness) -> None:
    """After approval the number starts anew with 201, another id and another budget; the old id stays approved."""
    number = api.number()
    first = api.started(number)
    api.check(first, api.wrong(first)).problem(422, "code_incorrect")
    assert api.check(first, api.code(first)).status == 200
    second = api.start(number)
    assert second.status == 201
    assert second.json["verification_id"] != first
    assert second.json["checks_left"] == 5
    api.check(first, "000000").problem(410, "already_approved")


def test_what_never_existed_is_404(api: ApiHarness) -> None:
    """404 verification_not_found by id, by number, on reading and on canceling, whatever the id looks like."""
    for name in (UNKNOWN_ID, "vrf_", "x", "vrf_" + "A" * 32, "vrf_" + "1" * 32, "%00", "%F0%9F%98%80", "a" * 3000):
        api.call("GET", f"/verify/{name}").problem(404, "verification_not_found")
        api.call("POST", f"/verify/{name}/cancel").problem(404, "verification_not_found")
    api.check(UNKNOWN_ID, "123456").problem(404, "verification_not_found")
    api.check("\u0000", "123456").problem(404, "verification_not_found")
    body = {"to": api.number(), "code": "123456"}
    api.call("POST", "/verify/check", body).problem(404, "verification_not_found")


@pytest.mark.parametrize(
    "code",
    [
        " 123456",
        "123456 ",
        "123 456",
        "123-456",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "\u0661\u0662\u0663\u0664\u0665\u0666",
        "\U0001d7ce" * 6,
        "\u00b9\u00b2\u00b3456",
        "123456\n",
        "\n123456",
        "123456\u0000",
        "123\u200b456",
        "+123456",
        "1e5555",
        "0x1234",
        "123",
        "12345678901",
        "",
    ],
)
def test_a_code_has_one_spelling(api: ApiHarness, code: str) -> None:
    """Anything but 4 to 10 ASCII digits is 400 with a pointer and costs no try."""
    verification = api.started(api.number())
    problem = api.check(verification, code).problem(400, "invalid_request")
    assert problem["errors"][0]["pointer"] == "/code"
    assert api.call("GET", f"/verify/{verification}").json["checks_left"] == 5


def test_digits_of_another_length_cost_a_try(api: ApiHarness) -> None:
    """4 to 10 digits that are not the code's length are a wrong code, not a mistake in form."""
    verification = api.started(api.number())
    for left, guess in ((4, "1234"), (3, "1234567890")):
        assert api.check(verification, guess).problem(422, "code_incorrect")["checks_left"] == left


def test_receipts_are_spent_once(api: ApiHarness) -> None:
    """200, then 410 receipt_spent; what is no receipt of this app is 422 receipt_invalid and spends nothing."""
    verification = api.started(api.number())
    receipt = api.check(verification, api.code(verification)).json["receipt"]
    header, payload, signature = receipt.split(".")
    forged = [
        "x",
        "a.b.c",
        f"{header}.{payload}.{'A' * len(signature)}",
        f"{header}.{payload}.",
        f"{header}.{payload[:-2]}{'AA' if payload[-2:] != 'AA' else 'BB'}.{signature}",
        f"eyJhbGciOiJub25lIn0.{payload}.",
        receipt + "=",
        receipt + "\n",
        "\ufeff" + receipt,
        "." * 2000,
    ]
    for text in forged:
        api.call("POST", "/receipts/redeem", {"receipt": text}).problem(422, "receipt_invalid")
    api.call("POST", "/receipts/redeem", {"receipt": receipt}, key="other").problem(422, "receipt_invalid")
    spent = api.call("POST", "/receipts/redeem", {"receipt": receipt})
    assert spent.status == 200
    assert set(spent.json) == {"verification_id", "redeemed_at", "to", "purpose", "sub"}
    api.call("POST", "/receipts/redeem", {"receipt": receipt}).problem(410, "receipt_spent")


# ---- which refusal answers first ------------------------------------------------------------------------------------


def test_the_order_of_forms(api: ApiHarness) -> None:
    """401 before 403 before 413 before 415 before 400 before 422, on start, check, redeem and cancel."""
    narrow = api.key("default", "metrics")
    big, text, broken = b"x" * 65537, {"Content-Type": "text/plain"}, b"{"
    for path in ("/verify/start", "/verify/check", "/receipts/redeem", f"/verify/{UNKNOWN_ID}/cancel"):
        for keyed in ({}, {"Idempotency-Key": "k-1"}):
            api.call("POST", path, big, key=None, headers=text | keyed).problem(401, "unauthorized")
            api.call("POST", path, big, key=narrow, headers=text | keyed).problem(403, "forbidden")
            api.call("POST", path, broken, key=narrow, headers=keyed).problem(403, "forbidden")
            api.call("POST", path, big, headers=text | keyed).problem(413, "payload_too_large")
            api.call("POST", path, big, headers=text | keyed, chunked=True).problem(413, "payload_too_large")
            api.call("POST", path, broken, headers=text | keyed).problem(415, "unsupported_media_type")
            api.call("POST", path, broken, headers=keyed).problem(400, "invalid_request")
    both = {**text, "Idempotency-Key": "not allowed"}
    api.call("POST", "/verify/start", broken, headers=both).problem(415, "unsupported_media_type")
    api.start("nonsense", nonsense=1).problem(400, "invalid_request")


def test_the_order_of_start_refusals(api: ApiHarness) -> None:
    """Of several refusals the first of the contract's list answers; each step takes the one above it away."""
    number, abroad = api.number(), "+447400123456"
    api.opt_out(abroad)
    api.start(abroad, "strict").problem(403, "country_not_allowed")
    verification = api.started(number, "strict", context={"a": "b"})
    for _ in range(2):
        api.check(verification, api.wrong(verification), "strict").problem(422, "code_incorrect")
    api.opt_out(number)
    api.start(number, "strict").problem(403, "opted_out")
    api.opt_out(number, text="START")
    # The budget is spent, another context is pending, and two starts are all that an hour has.
    api.start(number, "strict").problem(429, "too_many_wrong_codes")


def set_starts(api: ApiHarness, count: int) -> None:
    """Let every number have so many starts of just now, in the app `default`."""
    for name in api.store.keys("*:number:*"):
        api.store.hset(name, "starts:default", ",".join([str(time.time_ns() // 1_000_000)] * count))


def test_cool_down_before_limits_before_the_queue(api: ApiHarness, tmp_path_factory: pytest.TempPathFactory) -> None:
    """429 resend_too_soon, then 429 rate_limited, then 503."""
    number = api.number()
    api.started(number)
    set_starts(api, 50)
    api.start(number).problem(429, "resend_too_soon")
    small = make_settings(tmp_path_factory.mktemp("small"), api.settings.redis_url, api.seed, OTP_QUEUE_MAX="1")
    small = replace(small, keyring_path=api.settings.keyring_path)
    crowded = ApiHarness(bootstrap.build_web(small), small, api.vault, api.seed, api.store)
    # Another person; and what waits on their number's shard would fill its queue of one.
    number = api.number()
    if waiting := api.store.keys("*:outbox"):
        api.store.delete(*waiting)
    assert crowded.start(number).status == 201
    set_starts(api, 50)
    crowded.start(number, purpose="b").problem(429, "rate_limited")
    set_starts(api, 0)
    crowded.start(number, purpose="b").problem(503, "queue_full")


def test_the_order_of_check_refusals(api: ApiHarness) -> None:
    """404, then 410 (expired before the rest), then 429, then 422 or 200."""
    number = api.number()
    spent = api.started(number, "strict")
    wrong = api.wrong(spent)
    for _ in range(2):
        api.check(spent, wrong, "strict").problem(422, "code_incorrect")
    api.check(UNKNOWN_ID, wrong, "strict").problem(404, "verification_not_found")
    api.check(spent, api.code(spent), "strict").problem(429, "too_many_wrong_codes")
    assert api.call("POST", f"/verify/{spent}/cancel", key="strict").status == 200
    api.check(spent, wrong, "strict").problem(410, "verification_canceled")


def test_a_refused_start_leaves_nothing_behind(api: ApiHarness) -> None:
    """No outbox entry, no verification and no place in a limit is taken by a refusal."""

    def entries() -> int:
        return sum(int(str(api.store.xlen(name))) for name in api.store.keys("*:outbox"))

    number = api.number()
    api.started(number, "capped")
    before = entries()
    refused: list[Callable[[], object]] = [
        lambda: api.start(number),
        lambda: api.start("+447400123456"),
        lambda: api.start(api.number(), "capped"),
        lambda: api.start(number, context={"a": "b"}),
    ]
    api.started(number)
    for call in refused:
        call()
    assert entries() == before + 1


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
    ],
)
def test_a_code_goes_to_numbers_of_people_in_listed_countries(
    api: ApiHarness, number: str, app: str, status: int, code: str
) -> None:
    """Each number has its own refusal, and nothing of it is kept; the answer does not repeat the number."""
    answer = api.start(number, app)
    answer.problem(status, code)
    assert number.encode() not in answer.body


def test_an_area_code_newer_than_the_library_is_sent_to(api: ApiHarness) -> None:
    """436 is in Ohio, and the library does not know it."""
    assert api.start("+14362345678").status == 201


def test_with_the_real_carrier_the_sandboxes_numbers_are_none(api: ApiHarness) -> None:
    """422 on start and on check by number where the carrier's address is not on loopback; looking up still works."""
    assert api.start("+12025550143").status == 201
    real = replace(api.settings, telnyx_base_url="https://api.telnyx.com/v2")
    beside = ApiHarness(bootstrap.build_web(real), real, api.vault, api.seed, api.store)
    beside.start("+12025550143").problem(422, "invalid_number")
    beside.call("POST", "/verify/check", {"to": "+12025550143", "code": "123456"}).problem(422, "invalid_number")
    assert beside.call("GET", "/optouts/%2B12025550143").status == 200
    assert beside.start("+12025550243").status == 201


# ---- numbers: one handset, one person -------------------------------------------------------------------------------

SPELLINGS = [("+5491123456789", "+541123456789"), ("+525512345678", "+5215512345678")]


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
