"""Every refusal of the contract: its status, code, members and headers, and which one answers first."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from otp_service import bootstrap

from .conftest import PROFILE, World, make_settings
from .test_hooks import finalized

UNKNOWN_ID = "vrf_" + "a" * 32


def until_expired(world: World, verification_id: str) -> None:
    """Wait for the end of a code that lives one second."""
    deadline = time.monotonic() + 5
    while world.call("GET", f"/verify/{verification_id}", key="brief").json["status"] == "pending":
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- start ----------------------------------------------------------------------------------------------------------


def test_a_start_shows_the_whole_verification(world: World) -> None:
    """201 with every member of the contract, the number masked, and a request id; nothing of it may be stored."""
    number = world.number()
    answer = world.start(number, metadata={"order": 7})
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
    assert world.code(shown["verification_id"]).encode() not in answer.body


def test_resend_too_soon_says_when(world: World) -> None:
    """429 with the seconds to wait, the same in the body and in Retry-After, and the sends that are left."""
    number = world.number()
    world.started(number)
    answer = world.start(number)
    problem = answer.problem(429, "resend_too_soon")
    assert problem["sends_left"] == 3
    assert 1 <= problem["resend_in"] <= 30
    assert answer.header("Retry-After") == str(problem["resend_in"])


def test_the_last_send_closes_until_expiry(world: World) -> None:
    """After the last send: sends_left 0, resend_in null, and Retry-After until the code expires."""
    number = world.number()
    answers = [world.start(number, "twice") for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 200]
    assert answers[0].json["verification_id"] == answers[1].json["verification_id"]
    assert [answer.json["resend_in"] for answer in answers] == [0, None]
    answer = world.start(number, "twice")
    problem = answer.problem(429, "resend_too_soon")
    assert (problem["sends_left"], problem["resend_in"]) == (0, None)
    assert 290 <= int(answer.header("Retry-After") or 0) <= 300


def test_another_context_is_a_conflict(world: World) -> None:
    """409 while a verification with another context is pending; the pending one is untouched."""
    number = world.number()
    verification = world.started(number, context={"amount": "10", "payee": "X"})
    world.start(number, context={"amount": "11", "payee": "X"}).problem(409, "context_conflict")
    world.start(number).problem(409, "context_conflict")
    context = {"payee": "X", "amount": "10"}
    assert world.check(verification, world.code(verification), context=context).status == 200


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
def test_only_strict_e164_is_a_number(world: World, number: str) -> None:
    """422 for every other spelling, so that one person never has two budgets; the answer does not repeat it."""
    answer = world.start(number)
    answer.problem(422, "invalid_number")
    if len(number) > 6:
        assert number.encode() not in answer.body
    world.call("POST", "/verify/check", {"to": number, "code": "123456"}).problem(422, "invalid_number")


@pytest.mark.parametrize(
    "number",
    [
        "+\uff11\uff12\uff10\uff12\uff15\uff15\uff15\uff10\uff11\uff14\uff13",
        "+\u0661\u0662\u0660\u0662\u0665\u0665\u0665\u0660\u0661\u0664\u0663",
        "\u200b+12025550143",
    ],
)
def test_foreign_digits_are_a_malformed_request(world: World, number: str) -> None:
    """400 that points to the field, as for Unicode digits anywhere in a body; the answer does not repeat it."""
    for answer in (world.start(number), world.call("POST", "/verify/check", {"to": number, "code": "123456"})):
        problem = answer.problem(400, "invalid_request")
        assert [error["pointer"] for error in problem["errors"]] == ["/to"]
        assert number.encode() not in answer.body


def test_where_it_may_not_send(world: World) -> None:
    """A country that is not on the list, a range of no country, and a channel that no sender serves have own codes."""
    world.start("+447400123456").problem(403, "country_not_allowed")
    world.start("+88213300000", "abroad").problem(403, "destination_blocked")
    world.start(world.number(), channel="whatsapp").problem(422, "channel_unavailable")
    world.start(world.number(), "abroad").problem(422, "channel_unavailable")


def test_an_opted_out_person_is_not_sent_to(world: World) -> None:
    """403 that tells the key's holder how the person can come back; after START it works again."""
    number = world.number()
    world.opt_out(number)
    problem = world.start(number).problem(403, "opted_out")
    assert "START" in problem["resubscribe"]
    world.opt_out(number, text="START")
    assert world.start(number).status == 201


def test_the_numbers_budget_stops_start_and_check(world: World) -> None:
    """Once the number's wrong codes are spent, start and check are 429 with Retry-After, the right code too."""
    number = world.number()
    verification = world.started(number, "strict")
    wrong, right = world.wrong(verification), world.code(verification)
    for _ in range(2):
        world.check(verification, wrong, "strict").problem(422, "code_incorrect")
    for answer in (world.check(verification, right, "strict"), world.start(number, "strict")):
        answer.problem(429, "too_many_wrong_codes")
        assert 3500 <= int(answer.header("Retry-After") or 0) <= 3600
    shown = world.call("GET", f"/verify/{verification}", key="strict").json
    assert (shown["status"], shown["checks_left"]) == ("pending", 3)


def test_the_apps_own_limit(world: World) -> None:
    """429 rate_limited with Retry-After until there is room again."""
    assert world.start(world.number(), "capped").status == 201
    answer = world.start(world.number(), "capped")
    answer.problem(429, "rate_limited")
    assert 3500 <= int(answer.header("Retry-After") or 0) <= 3600


def test_a_spoofed_address_is_no_new_budget(world: World) -> None:
    """X-Forwarded-For, Forwarded and X-Real-IP change nothing; IPv6 addresses of one /64 are one end user."""
    first, second = "2001:db8:1:2::1", "2001:db8:1:2:ffff::9"
    assert world.start(world.number(), "address", client_ip=first).status == 201
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP"):
        spoofed = {name: "for=203.0.113.9" if name == "Forwarded" else "203.0.113.9"}
        body = {"to": world.number(), "client_ip": second}
        answer = world.call("POST", "/verify/start", body, key="address", headers=spoofed)
        answer.problem(429, "rate_limited")
    assert world.start(world.number(), "address", client_ip="2001:db8:1:3::1").status == 201
    assert world.start(world.number(), "address").status == 201


def test_the_numbers_own_starts_are_limited(world: World) -> None:
    """429 rate_limited when a number has been started too often, whatever the purpose."""
    number = world.number()
    for purpose in ("a", "b"):
        world.started(number, "strict", purpose=purpose)
    world.start(number, "strict", purpose="c").problem(429, "rate_limited")


def test_a_full_queue_is_503(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """503 queue_full with Retry-After when nobody sends; nothing is written that would grow further."""
    small = make_settings(tmp_path_factory.mktemp("small"), world.settings.redis_url, world.seed, OTP_QUEUE_MAX="1")
    small = replace(small, keyring_path=world.settings.keyring_path)
    crowded = World(bootstrap.build_web(small), small, world.vault, world.seed, world.store)
    number = world.number()
    assert crowded.start(number).status == 201
    answer = crowded.start(number, purpose="other")
    answer.problem(503, "queue_full")
    # A resend of the pending one would need a place as well, but its own refusal comes first.
    crowded.start(number).problem(429, "resend_too_soon")


# ---- check ----------------------------------------------------------------------------------------------------------


def test_a_right_code_is_the_only_2xx(world: World) -> None:
    """200 with status, time and receipt; at once again, and ever after, it is 410 already_approved."""
    number = world.number()
    verification = world.started(number)
    code = world.code(verification)
    approved = world.check(verification, code)
    assert approved.status == 200
    members = ["verification_id", "status", "approved_at", "to", "purpose", "channel", "sub", "receipt"]
    assert list(approved.json) == members
    assert approved.json["status"] == "approved"
    assert approved.header("Cache-Control") == "no-store"
    for guess in (code, "000000", "0000"):
        world.check(verification, guess).problem(410, "already_approved")
        by_number = world.call("POST", "/verify/check", {"to": number, "code": guess})
        by_number.problem(410, "already_approved")


def test_wrong_codes_count_down_to_the_end(world: World) -> None:
    """422 with the tries left four times, then 410 for the fifth and for everything after it, the right code too."""
    verification = world.started(world.number())
    right, wrong = world.code(verification), world.wrong(verification)
    for left in (4, 3, 2, 1):
        assert world.check(verification, wrong).problem(422, "code_incorrect")["checks_left"] == left
    world.check(verification, wrong).problem(410, "attempts_exhausted")
    for guess in (right, wrong):
        world.check(verification, guess).problem(410, "attempts_exhausted")
    assert world.call("GET", f"/verify/{verification}").json["status"] == "exhausted"


def test_a_wrong_context_is_a_wrong_code(world: World) -> None:
    """422 and one try less for a missing, another or an additional context; only the canonical same one passes."""
    context = {"amount": "10", "payee": "X"}
    verification = world.started(world.number(), context=context)
    code = world.code(verification)
    others: list[dict[str, str]] = [{}, {"amount": "10.00", "payee": "X"}, {**context, "z": ""}]
    for left, other in zip((4, 3, 2), others, strict=True):
        assert world.check(verification, code, context=other).problem(422, "code_incorrect")["checks_left"] == left
    assert world.check(verification, code, context=dict(reversed(context.items()))).status == 200


def test_how_a_verification_ended_is_told(world: World) -> None:
    """Canceled and expired verifications say so by id and by number; a second cancel as well."""
    number = world.number()
    verification = world.started(number)
    code = world.code(verification)
    canceled = world.call("POST", f"/verify/{verification}/cancel")
    assert (canceled.status, canceled.json["status"]) == (200, "canceled")
    assert canceled.json["resend_in"] is None
    world.call("POST", f"/verify/{verification}/cancel").problem(410, "verification_canceled")
    world.check(verification, code).problem(410, "verification_canceled")
    brief_number = world.number()
    brief = world.started(brief_number, "brief")
    late = world.code(brief)
    until_expired(world, brief)
    world.check(brief, late, "brief").problem(410, "verification_expired")
    body = {"to": brief_number, "code": late}
    world.call("POST", "/verify/check", body, key="brief").problem(410, "verification_expired")
    world.call("POST", f"/verify/{brief}/cancel", key="brief").problem(410, "verification_expired")


def test_a_new_start_after_an_end_is_a_new_verification(world: World) -> None:
    """After approval the number starts anew with 201, another id and another budget; the old id stays approved."""
    number = world.number()
    first = world.started(number)
    world.check(first, world.wrong(first)).problem(422, "code_incorrect")
    assert world.check(first, world.code(first)).status == 200
    second = world.start(number)
    assert second.status == 201
    assert second.json["verification_id"] != first
    assert second.json["checks_left"] == 5
    world.check(first, "000000").problem(410, "already_approved")


def test_what_never_existed_is_404(world: World) -> None:
    """404 verification_not_found by id, by number, on reading and on canceling, whatever the id looks like."""
    for name in (UNKNOWN_ID, "vrf_", "x", "vrf_" + "A" * 32, "vrf_" + "1" * 32, "%00", "%F0%9F%98%80", "a" * 3000):
        world.call("GET", f"/verify/{name}").problem(404, "verification_not_found")
        world.call("POST", f"/verify/{name}/cancel").problem(404, "verification_not_found")
    world.check(UNKNOWN_ID, "123456").problem(404, "verification_not_found")
    world.check("\u0000", "123456").problem(404, "verification_not_found")
    body = {"to": world.number(), "code": "123456"}
    world.call("POST", "/verify/check", body).problem(404, "verification_not_found")


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
def test_a_code_has_one_spelling(world: World, code: str) -> None:
    """Anything but 4 to 10 ASCII digits is 400 with a pointer and costs no try."""
    verification = world.started(world.number())
    problem = world.check(verification, code).problem(400, "invalid_request")
    assert problem["errors"][0]["pointer"] == "/code"
    assert world.call("GET", f"/verify/{verification}").json["checks_left"] == 5


def test_digits_of_another_length_cost_a_try(world: World) -> None:
    """4 to 10 digits that are not the code's length are a wrong code, not a mistake in form."""
    verification = world.started(world.number())
    for left, guess in ((4, "1234"), (3, "1234567890")):
        assert world.check(verification, guess).problem(422, "code_incorrect")["checks_left"] == left


def test_receipts_are_spent_once(world: World) -> None:
    """200, then 410 receipt_spent; what is no receipt of this app is 422 receipt_invalid and spends nothing."""
    verification = world.started(world.number())
    receipt = world.check(verification, world.code(verification)).json["receipt"]
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
        world.call("POST", "/receipts/redeem", {"receipt": text}).problem(422, "receipt_invalid")
    world.call("POST", "/receipts/redeem", {"receipt": receipt}, key="other").problem(422, "receipt_invalid")
    spent = world.call("POST", "/receipts/redeem", {"receipt": receipt})
    assert spent.status == 200
    assert set(spent.json) == {"verification_id", "redeemed_at", "to", "purpose", "sub"}
    world.call("POST", "/receipts/redeem", {"receipt": receipt}).problem(410, "receipt_spent")


# ---- which refusal answers first ------------------------------------------------------------------------------------


def test_the_order_of_forms(world: World) -> None:
    """401 before 403 before 413 before 415 before 400 before 422, on start, check, redeem and cancel."""
    narrow = world.key("default", "metrics")
    big, text, broken = b"x" * 65537, {"Content-Type": "text/plain"}, b"{"
    for path in ("/verify/start", "/verify/check", "/receipts/redeem", f"/verify/{UNKNOWN_ID}/cancel"):
        for keyed in ({}, {"Idempotency-Key": "k-1"}):
            world.call("POST", path, big, key=None, headers=text | keyed).problem(401, "unauthorized")
            world.call("POST", path, big, key=narrow, headers=text | keyed).problem(403, "forbidden")
            world.call("POST", path, broken, key=narrow, headers=keyed).problem(403, "forbidden")
            world.call("POST", path, big, headers=text | keyed).problem(413, "payload_too_large")
            world.call("POST", path, big, headers=text | keyed, chunked=True).problem(413, "payload_too_large")
            world.call("POST", path, broken, headers=text | keyed).problem(415, "unsupported_media_type")
            world.call("POST", path, broken, headers=keyed).problem(400, "invalid_request")
    both = {**text, "Idempotency-Key": "not allowed"}
    world.call("POST", "/verify/start", broken, headers=both).problem(415, "unsupported_media_type")
    world.start("nonsense", nonsense=1).problem(400, "invalid_request")


def test_the_order_of_start_refusals(world: World) -> None:
    """Of several refusals the first of the contract's list answers; each step takes the one above it away."""
    number, abroad = world.number(), "+447400123456"
    world.opt_out(abroad)
    world.start(abroad, "strict").problem(403, "country_not_allowed")
    verification = world.started(number, "strict", context={"a": "b"})
    for _ in range(2):
        world.check(verification, world.wrong(verification), "strict").problem(422, "code_incorrect")
    world.opt_out(number)
    world.start(number, "strict").problem(403, "opted_out")
    world.opt_out(number, text="START")
    # The budget is spent, another context is pending, and two starts are all that an hour has.
    world.start(number, "strict").problem(429, "too_many_wrong_codes")


def test_cool_down_before_limits_before_the_queue(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """429 resend_too_soon, then 429 rate_limited, then 503."""
    number = world.number()
    world.started(number)
    for _ in range(49):
        world.store.lpush(next(iter(world.store.keys("*:starts:*"))), str(time.time_ns() // 1_000_000))
    world.start(number).problem(429, "resend_too_soon")
    small = make_settings(tmp_path_factory.mktemp("small"), world.settings.redis_url, world.seed, OTP_QUEUE_MAX="1")
    small = replace(small, keyring_path=world.settings.keyring_path)
    crowded = World(bootstrap.build_web(small), small, world.vault, world.seed, world.store)
    # Another person; and what waits on their number's shard would fill its queue of one.
    number = world.number()
    if waiting := world.store.keys("*:outbox"):
        world.store.delete(*waiting)
    assert crowded.start(number).status == 201
    for name in world.store.keys("*:starts:*"):
        kept = world.store.lindex(name, 0)
        for _ in range(50):
            world.store.lpush(name, kept if isinstance(kept, bytes) else b"0")
    crowded.start(number, purpose="b").problem(429, "rate_limited")
    world.store.delete(*world.store.keys("*:starts:*"))
    crowded.start(number, purpose="b").problem(503, "queue_full")


def test_the_order_of_check_refusals(world: World) -> None:
    """404, then 410 (expired before the rest), then 429, then 422 or 200."""
    number = world.number()
    spent = world.started(number, "strict")
    wrong = world.wrong(spent)
    for _ in range(2):
        world.check(spent, wrong, "strict").problem(422, "code_incorrect")
    world.check(UNKNOWN_ID, wrong, "strict").problem(404, "verification_not_found")
    world.check(spent, world.code(spent), "strict").problem(429, "too_many_wrong_codes")
    assert world.call("POST", f"/verify/{spent}/cancel", key="strict").status == 200
    world.check(spent, wrong, "strict").problem(410, "verification_canceled")


def test_a_refused_start_leaves_nothing_behind(world: World) -> None:
    """No outbox entry, no verification and no place in a limit is taken by a refusal."""

    def entries() -> int:
        return sum(int(str(world.store.xlen(name))) for name in world.store.keys("*:outbox"))

    number = world.number()
    world.started(number, "capped")
    before = entries()
    refused: list[Callable[[], object]] = [
        lambda: world.start(number),
        lambda: world.start("+447400123456"),
        lambda: world.start(world.number(), "capped"),
        lambda: world.start(number, context={"a": "b"}),
    ]
    world.started(number)
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
    world: World, number: str, app: str, status: int, code: str
) -> None:
    """Each number has its own refusal, and nothing of it is kept; the answer does not repeat the number."""
    answer = world.start(number, app)
    answer.problem(status, code)
    assert number.encode() not in answer.body


def test_an_area_code_newer_than_the_library_is_sent_to(world: World) -> None:
    """436 is in Ohio, and the library has not heard of it."""
    assert world.start("+14362345678").status == 201


def test_with_the_real_carrier_the_sandboxes_numbers_are_none(world: World) -> None:
    """422 on start and on check by number where the carrier's address is not on loopback; looking up still works."""
    assert world.start("+12025550143").status == 201
    real = replace(world.settings, telnyx_base_url="https://api.telnyx.com/v2")
    beside = World(bootstrap.build_web(real), real, world.vault, world.seed, world.store)
    beside.start("+12025550143").problem(422, "invalid_number")
    beside.call("POST", "/verify/check", {"to": "+12025550143", "code": "123456"}).problem(422, "invalid_number")
    assert beside.call("GET", "/optouts/%2B12025550143").status == 200
    assert beside.start("+12025550243").status == 201


# ---- numbers: one handset, one person -------------------------------------------------------------------------------

SPELLINGS = [("+5491123456789", "+541123456789"), ("+525512345678", "+5215512345678")]


@pytest.mark.parametrize("pair", [*SPELLINGS, *(pair[::-1] for pair in SPELLINGS)])
def test_two_spellings_of_a_handset_are_one_verification(world: World, pair: tuple[str, str]) -> None:
    """The cool-down, a check by number, wrong codes and the record do not depend on the spelling."""
    one, other = pair
    started = world.started(one, "everywhere")
    world.start(other, "everywhere").problem(429, "resend_too_soon")
    guess = {"to": other, "code": world.code(started)}
    assert world.call("POST", "/verify/check", guess, key="everywhere").json["verification_id"] == started
    page = world.call("GET", f"/audit/events?number=%2B{other[1:]}", key="everywhere").json
    assert started in {event["verification_id"] for event in page["events"]}


@pytest.mark.parametrize("pair", [*SPELLINGS, *(pair[::-1] for pair in SPELLINGS)])
def test_a_reply_in_another_spelling_is_the_same_persons(world: World, pair: tuple[str, str]) -> None:
    """STOP from one spelling refuses the other, START from the other lets both through again."""
    one, other = pair
    world.opt_out(one)
    world.start(other, "everywhere").problem(403, "opted_out")
    shown = world.call("GET", f"/optouts/%2B{other[1:]}", key="everywhere").json
    assert [entry["opted_out"] for entry in shown["profiles"] if entry["messaging_profile_id"] == PROFILE] == [True]
    world.opt_out(other, text="START")
    assert world.start(one, "everywhere").status == 201


@pytest.mark.parametrize("pair", [*SPELLINGS, *(pair[::-1] for pair in SPELLINGS)])
def test_a_report_in_another_spelling_is_of_the_same_delivery(world: World, pair: tuple[str, str]) -> None:
    """The carrier may name the recipient in the other spelling: the delivery moves all the same."""
    one, other = pair
    shown = world.start(one, "everywhere").json
    delivery = shown["deliveries"][0]["delivery_id"]
    assert world.hook(finalized(other, delivery, "delivered"), f"/{delivery}").status == 200
    now = world.call("GET", f"/verify/{shown['verification_id']}", key="everywhere").json
    assert now["deliveries"][0]["status"] == "delivered"
