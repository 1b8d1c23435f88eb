"""What the carrier's codes come to mean."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.delivery import Action, NotSent, Refused, Unknown
from otp_service.telnyx.errors import MEANINGS, classify, delivery_error, read_errors, retry_after_s

NUMBER = "+12025550143"


def envelope(code: Any, title: Any = "Title", **more: Any) -> dict[str, Any]:
    """The usual shape of the carrier's errors."""
    return {"errors": [{"code": code, "title": title, **more}]}


ACTIONS = {
    Action.STOP_PERSON: "40300 40310 40012 10002 10016 40001 40309 10039",
    Action.NEXT_SENDER: "40301 40319 40315 40320 40321 40318 40002 40004 40005 40014 40011 40016 40018 40009 40015"
    " 40017 40322 41000",
    Action.RETRY: "40006 40008",
    Action.BAD_REQUEST: "40308 40302 40304 40316 40317 40328 40303 10005 10015 10004 10023 10026 10027 10032 10033",
    Action.STOP_SENDER: "40305 40306 40307 40325 40013 40100 40003 40010 40019 40329 40330 40020 10010 10038",
    Action.STOP_PROFILE: "40312 40313 40311 40333 40331",
    Action.STOP_ALL: "10009 20001 20002 20003 20004 20005 20006 20007 20008 20100 20012 20013 20014 20016 20017 40314",
}
TABLE = [(code, action) for action, codes in ACTIONS.items() for code in codes.split()]


@pytest.mark.parametrize(("code", "action"), TABLE)
@pytest.mark.parametrize("status", [400, 403, 409, 422, 429, 500])
def test_a_known_code_decides_under_every_status(code: str, action: Action, status: int) -> None:
    """The carrier's code comes before the status, which is known to vary."""
    outcome = classify(status, envelope(code), {})
    assert outcome == Refused(code, "Title", action, opted_out=code == "40300", spent=code == "40333")


def test_the_table_is_the_whole_table() -> None:
    """Every code of the program's table stands in this test's, with a phrase of a few words."""
    assert set(MEANINGS) == {code for code, _ in TABLE}
    assert all(0 < len(meaning.phrase) <= 60 for meaning in MEANINGS.values())


@pytest.mark.parametrize("status", [400, 403, 409, 422])
def test_an_opt_out_is_an_opt_out_under_every_status(status: int) -> None:
    """The block of a person who said STOP is never retried and never overlooked."""
    outcome = classify(status, envelope("40300", "Blocked due to STOP message"), {})
    assert outcome == Refused("40300", "Blocked due to STOP message", Action.STOP_PERSON, opted_out=True)


def test_an_opt_out_counts_among_other_errors() -> None:
    """Standing second in a list does not hide a STOP."""
    both = {"errors": [{"code": "40305", "title": "A"}, {"code": "40300", "title": "B"}]}
    assert classify(400, both, {}) == Refused("40300", "B", Action.STOP_PERSON, opted_out=True)


def test_a_spent_budget_is_no_reason_to_wait() -> None:
    """The spend limit arrives as 429, and no waiting of seconds cures it."""
    outcome = classify(429, envelope("40333"), {"Retry-After": "1"})
    assert isinstance(outcome, Refused)
    assert outcome.action is Action.STOP_PROFILE


@pytest.mark.parametrize("status", [400, 429, 503])
def test_too_many_requests_is_not_sent(status: int) -> None:
    """The carrier's request limit sends nothing and says when to come back."""
    assert classify(status, envelope("10011"), {"x-ratelimit-reset": "12"}) == NotSent("too many requests", 12.0)


def test_a_429_without_a_known_code_is_not_sent() -> None:
    """Whoever limits us, a gateway too, has not sent the message."""
    for body in (None, "slow down", envelope("99999")):
        assert isinstance(classify(429, body, {}), NotSent)


@pytest.mark.parametrize("code", ["10007", "10008", "10037", "10036"])
@pytest.mark.parametrize("status", [400, 409, 500, 503])
def test_codes_that_prove_nothing_are_unknown(code: str, status: int) -> None:
    """An unexpected error, a timeout or a key still in progress leaves open whether a message went out."""
    pointer = {"source": {"pointer": "/header/Idempotency-Key"}}
    assert isinstance(classify(status, envelope(code, **pointer), {}), Unknown)


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504, 599, 200, 204, 100, 0, 700])
def test_statuses_that_prove_nothing_are_unknown(status: int) -> None:
    """Without a code, timeouts, conflicts and server errors leave the outcome open."""
    assert isinstance(classify(status, None, {}), Unknown)
    assert isinstance(classify(status, envelope("99999"), {}), Unknown)


def test_a_success_that_brings_errors_is_unknown() -> None:
    """A status of success and an error contradict one another, so neither is believed."""
    assert isinstance(classify(200, envelope("40310"), {}), Unknown)


@pytest.mark.parametrize(
    "status", [301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 410, 413, 415, 418, 422, 451]
)
@pytest.mark.parametrize("body", [None, {"message": "Forbidden"}, [], "no", {"errors": []}, {"errors": [{"code": ""}]}])
def test_an_answer_without_the_carriers_envelope_is_foreign(status: int, body: object) -> None:
    """A page of a proxy or a wrong address: this request is refused, and of everything else nothing is known."""
    outcome = classify(status, body, {})
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.action, outcome.foreign) == (f"http_{status}", Action.BAD_REQUEST, True)


@pytest.mark.parametrize("status", [400, 403, 404, 413, 415, 422, 451])
def test_another_sender_may_fare_better_with_an_unknown_refusal(status: int) -> None:
    """A code the carrier invents tomorrow fails this sender over and stops nobody else."""
    assert classify(status, envelope("49999", "New"), {}) == Refused("49999", "New", Action.NEXT_SENDER)


@pytest.mark.parametrize("status", [401, 402])
def test_an_unknown_code_with_a_status_of_the_account_is_about_the_account(status: int) -> None:
    """The carrier's own envelope, and its status says what it is about."""
    outcome = classify(status, envelope("29999", "New"), {})
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.action, outcome.foreign) == ("29999", Action.STOP_ALL, False)


def test_a_key_used_with_another_body_is_reported_to_the_operator() -> None:
    """The carrier's 422 for a reused key is a bug of ours, and not repeated."""
    error = envelope("10027", "Unprocessable", source={"pointer": "/header/Idempotency-Key"})
    assert classify(422, error, {}) == Refused("10027", "Unprocessable", Action.BAD_REQUEST)


@pytest.mark.parametrize(
    "body",
    [
        envelope("40310"),
        {"code": "40310", "title": "Title"},
        [{"code": "40310", "title": "Title"}],
        {"errors": {"code": "40310", "title": "Title"}},
        envelope(40310),
        {"errors": ["x", None, {"code": None}, {"code": "40310", "title": "Title"}]},
    ],
)
def test_every_shape_of_error_is_read(body: object) -> None:
    """The envelope, the bare object that the carrier's own schema also shows, and lists with rubbish in them."""
    assert classify(400, body, {}) == Refused("40310", "Title", Action.STOP_PERSON)


def test_a_title_is_made_fit_for_logs() -> None:
    """A refusal's title is short, printable and without phone numbers, and never empty for a known code."""
    cleaned = classify(400, envelope("40310", f"Bad\n'to' {NUMBER} \u202e" + "x" * 500), {})
    assert isinstance(cleaned, Refused)
    assert NUMBER[1:] not in cleaned.title
    assert len(cleaned.title) <= 120
    assert cleaned.title.startswith("Bad 'to' …")
    untitled = classify(400, envelope("40310", None), {})
    assert isinstance(untitled, Refused)
    assert untitled.title == MEANINGS["40310"].phrase


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "7", "x-ratelimit-reset": "3"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "999999"}, 86_400.0),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan", "x-ratelimit-reset": "3"}, 3.0),
        ({"Retry-After": "１２"}, None),
        ({"Retry-After": "9" * 5000}, None),
        ({"x-ratelimit-reset": "1763924400"}, None),
        ({"Retry-After": "Sun, 23 Nov 2025 19:00:30 GMT", "Date": "Sun, 23 Nov 2025 19:00:00 GMT"}, 30.0),
        ({"Retry-After": "Sun, 23 Nov 2025 18:00:00 GMT", "Date": "Sun, 23 Nov 2025 19:00:00 GMT"}, 0.0),
        ({"Retry-After": "Sun, 23 Nov 2025 19:00:30 GMT"}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds and dates are understood, nonsense is not, and nobody makes us wait for more than a day."""
    assert retry_after_s(headers) == seconds
    assert retry_after_s(httpx.Headers({k: v for k, v in headers.items() if v.isascii()})) == seconds


def test_a_receipt_never_asks_for_the_same_again() -> None:
    """What could be retried goes to the next: its key would only replay the stored answer.

    So does what an answer would say of the account: the message was accepted, so the next sender's answer will show it.
    """
    for code in MEANINGS:
        refusal = delivery_error({"code": code, "title": "x"})
        assert refusal is not None
        assert refusal.action not in (Action.RETRY, Action.STOP_ALL)
    assert delivery_error({"code": "40008", "title": "Undeliverable"}) == Refused(
        "40008", "Undeliverable", Action.NEXT_SENDER
    )
    assert delivery_error({"code": "49999", "title": "New"}) == Refused("49999", "New", Action.NEXT_SENDER)


@pytest.mark.parametrize(
    ("title", "detail", "stopped"),
    [
        ("Blocked due to STOP message", "", True),
        ("Blocked", "due to an existing block rule", True),
        ("Unreachable", "The handset is off", False),
        ("Stopped trying", "", False),
    ],
)
def test_a_block_in_a_receipt_is_an_opt_out_only_if_it_says_so(title: str, detail: str, stopped: bool) -> None:
    """The same code means several things in receipts; only words about STOP put a person on the list."""
    refusal = delivery_error({"code": "40300", "title": title, "detail": detail})
    action = Action.STOP_PERSON if stopped else Action.NEXT_SENDER
    assert refusal == Refused("40300", title, action, opted_out=stopped)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["errors", "code", "title", "detail", "source", "x"]), inner)
    ),
    max_leaves=20,
)


@given(st.integers(-1, 1000), JSON, st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4))
def test_no_answer_breaks_the_classification(status: int, body: object, headers: dict[str, str]) -> None:
    """Whatever a carrier sends, the outcome is one of three values."""
    assert isinstance(classify(status, body, headers), Refused | NotSent | Unknown)
    delivery_error(body)
    read_errors(body)
