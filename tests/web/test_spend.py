"""A daily spend limit at the edge: what a refused caller is told, and what the carrier's webhooks change."""

import json
from typing import Any

import pytest

from otp_service import bootstrap
from otp_service.cli.main import main
from otp_service.domain.spending import DAY_MS

from .conftest import ApiHarness
from .days import LONGEST_MS, stay_within_a_day, wait_ms
from .webhook_events import finalized

PRICE, LIMIT = 10_000, 125_000


@pytest.fixture(autouse=True)
def within_a_day(api: ApiHarness) -> None:
    """What is summed here is of one day."""
    stay_within_a_day(api)


def test_tests_of_a_day_begin_and_end_on_it() -> None:
    """Those that might not wait for the next one."""
    begins = [at + wait_ms(at) for at in (0, DAY_MS - LONGEST_MS, DAY_MS - LONGEST_MS + 1, DAY_MS - 1)]
    assert begins == [0, DAY_MS - LONGEST_MS, DAY_MS, DAY_MS]


def spent(api: ApiHarness) -> int:
    """What counts today, in millionths."""
    with bootstrap.open_spending(api.settings) as table:
        return table.read("spending").spent_today


def report(api: ApiHarness, number: str, delivery: str, amount: str, currency: str = "USD") -> None:
    """The carrier's last report of a message, which it posts twice."""
    event = finalized(number, delivery, "delivered", message=f"msg-{delivery[-8:]}")
    event["data"]["payload"]["cost"] = {"amount": amount, "currency": currency}
    for _ in range(2):
        assert api.hook(event).status == 200


def started(api: ApiHarness, **members: Any) -> tuple[str, str]:
    """The number and the delivery of a start that passes."""
    number = api.number()
    answer = api.start(number, "spending", **members)
    assert answer.status == 201, answer.body
    return number, answer.json["deliveries"][0]["delivery_id"]


def test_a_start_takes_its_price_and_the_report_corrects_it(api: ApiHarness) -> None:
    """Of each part of its text; a resend takes it again, a refused start and a test of one nothing."""
    number, delivery = started(api)
    assert spent(api) == PRICE
    report(api, number, delivery, "0.0051")
    assert spent(api) == 5_100
    assert api.start(number, "spending").status == 200
    assert api.start(number, "spending").status == 429
    assert api.start(api.number(), "spending", dry_run=True).json["would"] == "send"
    assert spent(api) == 5_100 + PRICE
    payment = {"context": {"amount": "10 EUR", "payee": "Ł" * 40}}
    parts = api.start(api.number(), "spending", dry_run=True, **payment).json["segments"]
    started(api, **payment)
    assert parts > 1
    assert spent(api) == 5_100 + (1 + parts) * PRICE


def test_what_does_not_fit_is_refused_with_other_ways(api: ApiHarness) -> None:
    """Also for a known number; the record and a dry run name the limit."""
    assert [api.start("+14165550123", "spending").status for _ in range(2)] == [201, 200]
    started(api)
    started(api)
    number = api.number()
    for _ in range(2):
        problem = api.start("+14165550124", "spending").problem(403, "guard_refused")
    assert (problem["reason"], problem["alternatives"]) == ("spend_limit", [])
    preview = api.start("+14165550124", "spending", dry_run=True).json
    assert preview["refused_by"] == {"code": "guard_refused", "limit": "spend_limit", "retry_after": None}
    assert api.start(number, "spending").status == 403
    events = api.call("GET", "/audit/events?type=verification.refused", key="spending").json["events"]
    assert [event["detail"]["limit"] for event in events] == ["spend_limit"] * 2
    assert spent(api) == 120_000


def test_what_was_spent_is_shown_by_country_and_day(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Expected and settled, a cost in another currency beside them."""
    for name in ("redis_url", "keyring_path", "config_path"):
        variable = {"redis_url": "OTP_REDIS_URL", "keyring_path": "OTP_KEYRING", "config_path": "OTP_CONFIG"}[name]
        monkeypatch.setenv(variable, str(getattr(api.settings, name)))
    number, delivery = started(api)
    report(api, number, delivery, "0.0051")
    number, delivery = started(api)
    report(api, number, delivery, "0.007", "EUR")
    assert main(["guard", "spend", "--app", "spending", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["spent_today"], shown["daily_spend_limit"], shown["refused_today"]) == ("0.0151", "0.1250", 0)
    (day,) = shown["days"]
    assert day == {
        "day": shown["day"],
        "country": "US",
        "expected": "0.0200",
        "messages": 2,
        "settled": {"EUR": "0.0070", "USD": "0.0051"},
    }
    assert main(["guard", "spend"]) == 0
    out = capsys.readouterr().out
    assert "spending: 0.0151 USD today, of 0.1250; messages refused today: 0" in out
    assert "0.0070 EUR, 0.0051 USD" in out
    assert "default: 0.0000 USD today, no limit" in out
