"""`[[limits]]` over HTTP: what they count by, what they refuse, and what is told of them."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from .conftest import Answer, ApiHarness
from .test_rate_headers import refused

APP = "limited"


def start(api: ApiHarness, app: str = APP, number: str | None = None, **members: Any) -> Answer:
    """A start for a new number."""
    return api.start(number or api.number(), app, **members)


def limit_of(answer: Answer) -> str:
    """The limit that refuses, by the header."""
    answer.problem(429, "rate_limited")
    return refused(answer)[0].partition("/")[0]


def test_a_device_has_its_starts(api: ApiHarness) -> None:
    """Each device its own; a start that names none is not counted. Of several windows the one that refuses is told."""
    for _ in range(2):
        assert start(api, device_id="phone-1").status == 201
    answer = start(api, device_id="phone-1")
    assert (refused(answer)[0], refused(answer)[1]["t"] > 3_500) == ("devices/3600", True)
    assert start(api, device_id="phone-2").status == 201
    assert start(api).status == 201


def test_a_named_word_of_the_caller_is_counted(api: ApiHarness) -> None:
    """`custom:account` counts that member alone, in each app for itself; other members are nobody's business."""
    for member in ("x", "y"):
        assert start(api, limit_keys={"account": "a-17", "other": member}).status == 201
    assert limit_of(start(api, limit_keys={"account": "a-17"})) == "accounts"
    assert start(api, limit_keys={"account": "a-18"}).status == 201
    assert start(api, "other", limit_keys={"account": "a-17"}).status == 201


def test_any_word_of_the_caller_is_counted(api: ApiHarness) -> None:
    """`custom` counts each member by itself, name and value."""
    for word in "abc":
        assert start(api, "worded", limit_keys={"tenant": "t-1", "team": word}).status == 201
    assert limit_of(start(api, "worded", limit_keys={"team": "d", "tenant": "t-1"})) == "any_word"
    assert start(api, "worded", limit_keys={"team": "t-1"}).status == 201


@pytest.mark.parametrize(
    "pair",
    [
        ("198.51.100.1", "::ffff:198.51.100.1"),
        ("64:ff9b::198.51.100.2", "198.51.100.2"),
        ("2002:c633:6403::1", "198.51.100.3"),
        ("2001:db8:1:4::1", "2001:db8:1:4:ffff::2"),
    ],
)
def test_addresses_of_one_user_are_one(api: ApiHarness, pair: tuple[str, str]) -> None:
    """IPv4 inside IPv6, in three forms, and a /64; another country has its own count."""
    for address in pair:
        assert start(api, client_ip=address).status == 201
    assert limit_of(start(api, client_ip=pair[0])) == "networks"
    assert start(api, number=f"+1416555{api.number()[-4:]}", client_ip=pair[0]).status == 201


def test_a_block_of_numbers_is_counted(api: ApiHarness) -> None:
    """The number without its last four digits, for each sender."""
    for end in ("0001", "9999"):
        assert start(api, "blocks", f"+1212999{end}").status == 201
    assert limit_of(start(api, "blocks", "+12129995555")) == "blocks"
    assert start(api, "blocks", "+12129985555").status == 201


def test_what_a_refusal_took_is_given_back(api: ApiHarness) -> None:
    """A start that the number's own limit, or another entry, refuses counts in none."""
    number = api.number()
    for _ in range(2):
        assert start(api, number=number, device_id="phone-5").status < 300
    for _ in range(3):
        answer = start(api, number=number, limit_keys={"account": "a-5"})
        answer.problem(429, "resend_too_soon")
    for _ in range(3):
        assert limit_of(start(api, device_id="phone-5", limit_keys={"account": "a-5"})) == "devices"
    assert [start(api, limit_keys={"account": "a-5"}).status for _ in range(3)] == [201, 201, 429]


def counted(api: ApiHarness, app: str, limit: str, mode: str) -> float:
    """What the metric says of a limit of an app."""
    text = api.call("GET", "/metrics").body.decode()
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    wanted = {"app": app, "limit": limit, "mode": mode}
    return sum(one.value for one in samples if one.name == "otp_limits_exceeded_total" and one.labels == wanted)


def test_a_monitored_limit_refuses_nothing(api: ApiHarness) -> None:
    """It counts as if it refused: a metric for each, and an event that names the limit. Callers are not told of it."""
    number, before = api.number(), counted(api, "watched", "watched", "monitor")
    for status in (201, 200):
        answer = start(api, "watched", number)
        assert answer.status == status
    assert "watched" not in (answer.header("RateLimit-Policy") or "")
    assert counted(api, "watched", "watched", "monitor") == before + 1
    events = api.call("GET", "/audit/events?type=limit.exceeded", key="watched").json["events"]
    ours = [event for event in events if event["to"] == f"+1******{number[-4:]}"]
    assert [(event["detail"]["limit"], event["detail"]["mode"]) for event in ours] == [("watched", "monitor")]
    assert 3_590_000 < ours[0]["detail"]["wait_ms"] <= 3_600_000
    assert start(api, "watched", number, dry_run=True).json["refused_by"]["limit"] == "resend_after"


def test_a_refusal_is_counted_by_its_limit(api: ApiHarness) -> None:
    """For whoever watches a limit."""
    before = counted(api, APP, "devices", "enforce")
    for _ in range(4):
        start(api, device_id="phone-7")
    assert counted(api, APP, "devices", "enforce") == before + 2


def test_a_dry_run_names_the_limit_and_takes_nothing(api: ApiHarness) -> None:
    """And says when it would pass."""
    for _ in range(3):
        assert start(api, device_id="phone-8", dry_run=True).json["would"] == "send"
    for _ in range(2):
        assert start(api, device_id="phone-8").status == 201
    by = start(api, device_id="phone-8", dry_run=True).json["refused_by"]
    assert (by["code"], by["limit"], 3_590 < by["retry_after"] <= 3_600) == ("rate_limited", "devices", True)


def guess(api: ApiHarness, verification: str, *, right: bool = False, **members: Any) -> Answer:
    """A check of the app whose wrong codes are counted by address."""
    code = api.code(verification) if right else api.wrong(verification)
    return api.check(verification, code, "guessed", **members)


def guess_late(api: ApiHarness, verification: str, **members: Any) -> Answer:
    """A check of one that has ended."""
    return api.check(verification, "000000", "guessed", **members)


def test_wrong_codes_are_counted_by_address(api: ApiHarness) -> None:
    """Over verifications of several numbers; right codes, unknown and ended verifications count nothing."""
    here: dict[str, Any] = {"client_ip": "198.51.100.40"}
    first, second, third = (api.started(api.number(), "guessed") for _ in range(3))
    assert guess(api, first, **here).status == 422
    assert guess(api, first, right=True, **here).status == 200
    for _ in range(3):
        guess_late(api, first, **here).problem(410, "already_approved")
        api.check("vrf_" + "a" * 32, "123456", "guessed", **here).problem(404, "verification_not_found")
        api.check(second, api.wrong(second), "guessed", to=api.number(), **here).problem(404, "verification_not_found")
    assert guess(api, second, **here).status == 422
    before = counted(api, "guessed", "guesses", "enforce")
    refusal = guess(api, third, right=True, **here)
    document = refusal.problem(429, "too_many_wrong_codes")
    assert (3_590 < int(refusal.header("Retry-After") or 0) <= 3_600, "number" in document["detail"]) == (True, False)
    assert counted(api, "guessed", "guesses", "enforce") == before + 1
    guess_late(api, first, **here).problem(410, "already_approved")
    assert guess(api, third).status == 422
    assert guess(api, third, right=True, client_ip="198.51.100.41").status == 200


def test_the_wrong_code_that_ends_a_verification_counts(api: ApiHarness) -> None:
    """And checks after the end do not."""
    verification = api.started(api.number(), "guessed")
    for _ in range(4):
        assert guess(api, verification).status == 422
    last: dict[str, Any] = {"client_ip": "198.51.100.42"}
    guess(api, verification, **last).problem(410, "attempts_exhausted")
    for _ in range(3):
        guess_late(api, verification, **last).problem(410, "attempts_exhausted")
    other = api.started(api.number(), "guessed")
    assert [guess(api, other, **last).status for _ in range(2)] == [422, 429]


def test_the_store_and_the_record_hold_no_word_of_a_caller(api: ApiHarness) -> None:
    """Keyed hashes alone: neither keys nor values nor events can be read."""
    words: dict[str, Any] = {
        "device_id": "SECRETDEVICE",
        "limit_keys": {"account": "SECRETACCOUNT"},
        "client_ip": "203.0.113.99",
    }
    for _ in range(3):
        assert b"SECRET" not in start(api, **words).body
    names: Any = api.store.keys("*")
    held = b"".join(name + (api.store.dump(name) or b"") for name in names)
    assert b"SECRET" not in held
    assert b"203.0.113.99" not in held


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"device_id": ""}, "/device_id"),
        ({"device_id": "x" * 129}, "/device_id"),
        ({"device_id": 7}, "/device_id"),
        ({"device_id": None}, "/device_id"),
        ({"limit_keys": {"a": ""}}, "/limit_keys"),
        ({"limit_keys": {"": "a"}}, "/limit_keys"),
        ({"limit_keys": {"a": "\n"}}, "/limit_keys"),
        ({"limit_keys": {"a": 7}}, "/limit_keys"),
        ({"limit_keys": {"a": "x" * 129}}, "/limit_keys"),
        ({"limit_keys": {f"k{n}": "x" for n in range(9)}}, "/limit_keys"),
        ({"limit_keys": ["a"]}, "/limit_keys"),
    ],
)
def test_malformed_words_are_400(api: ApiHarness, members: dict[str, Any], pointer: str) -> None:
    """With the pointer of the member, at a start and at a check."""
    for answer in (start(api, **members), api.check("vrf_" + "a" * 32, "123456", **members)):
        document = answer.problem(400, "invalid_request")
        assert document["errors"][0]["pointer"].startswith(pointer)
