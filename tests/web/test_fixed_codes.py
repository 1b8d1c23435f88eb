"""Test numbers: the configured code opens them, nothing is sent, and every answer says so."""

import jwt
import pytest

from .conftest import PUBLIC_URL, ApiHarness

APP, NUMBER, CODE = "reviewed", "+13125550100", "424242"


def test_a_test_number_is_approved_by_its_code_and_sent_nothing(api: ApiHarness) -> None:
    """Start, repeat, GET, check, redeem: `test` in each; the outbox stays empty, also a full one is none of its."""
    started = api.start(NUMBER, APP)
    assert started.status == 201, started.body
    shown = started.json
    (delivery,) = shown["deliveries"]
    assert (shown["test"], delivery["status"], delivery["error"]["code"]) == (True, "suppressed", "test_number")
    assert (shown["version"], api.code(shown["verification_id"])) == (3, CODE)
    again = api.start(NUMBER, APP)
    assert (again.status, again.json["test"], len(again.json["deliveries"])) == (200, True, 2)
    assert {one["status"] for one in again.json["deliveries"]} == {"suppressed"}
    assert not [key for key in api.store.scan_iter(match="*:outbox") if api.store.xlen(key)]
    path = f"/verify/{shown['verification_id']}"
    seen = api.call("GET", path, key=APP).json
    assert (seen["test"], seen["version"]) == (True, again.json["version"])
    assert [one["event"] for one in seen["timeline"]] == [
        *("verification.started", "delivery.queued", "delivery.suppressed"),
        *("verification.resent", "delivery.queued", "delivery.suppressed"),
    ]
    assert api.call("GET", path, key=None, headers=_bearer(shown["watch_token"])).json["test"] is True
    approved = api.call("POST", "/verify/check", {"to": NUMBER, "code": CODE}, key=APP)
    assert (approved.status, approved.json["test"]) == (200, True)
    claims = jwt.decode(approved.json["receipt"], options={"verify_signature": False})
    assert (claims["test"], claims["amr"], claims["iss"]) == (True, ["otp"], PUBLIC_URL)
    late = api.call("POST", f"{path}/cancel", key=APP)
    assert late.problem(410, "already_approved")["test"] is True
    redeemed = api.call("POST", "/receipts/redeem", {"receipt": approved.json["receipt"], "to": NUMBER}, key=APP)
    assert (redeemed.status, redeemed.json["test"]) == (200, True)
    page = api.call("GET", "/audit/events", key=APP).json["events"]
    of_type = {event["type"]: event["detail"] for event in page}
    for kind in ("verification.started", "verification.resent", "verification.approved"):
        assert of_type[kind]["test"] is True
    assert of_type["delivery.suppressed"]["reason"] == "test_number"
    counted = api.call("GET", "/metrics").body.decode()
    assert f'otp_verifications_started_total{{app="{APP}",kind="test"}}' in counted
    assert f'otp_checks_total{{answer="test",app="{APP}"}}' in counted


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_wrong_codes_of_a_test_number_cost_as_others_do(api: ApiHarness) -> None:
    """The verification's tries, then the number's; every refusal but 404 says what it is about."""
    verification = api.started(NUMBER, APP)
    for left in (4, 3, 2, 1):
        refused = api.check(verification, "000000", APP).problem(422, "code_incorrect")
        assert (refused["checks_left"], refused["test"]) == (left, True)
    assert api.check(verification, "000000", APP).problem(410, "attempts_exhausted")["test"] is True
    later = api.started(NUMBER, APP)
    assert api.check(later, "000000", APP).problem(422, "code_incorrect")["test"] is True
    assert api.check(later, CODE, APP).problem(429, "too_many_wrong_codes")["test"] is True
    assert api.start(NUMBER, APP).problem(429, "too_many_wrong_codes")["test"] is True
    assert "test" not in api.check(later, CODE, APP, purpose="pay").problem(404, "verification_not_found")


def test_another_apps_test_number_is_none_here(api: ApiHarness) -> None:
    """Its code is drawn, it is sent, and nothing is marked; the app's own numbers are sent as ever."""
    for number, app in ((NUMBER, "default"), ("+4915123456789", APP)):
        started = api.start(number, app)
        assert started.status == 201, started.body
        assert "test" not in started.json
        assert started.json["deliveries"][0]["status"] == "queued"
    assert "test" not in api.start("+13125550177", APP).problem(422, "channel_unavailable")


@pytest.mark.parametrize("number", [NUMBER, "+13125551234"])
def test_a_dry_run_says_it_too(api: ApiHarness, number: str) -> None:
    """It would pass, whatever the app's countries and senders are, and no text would go out."""
    shown = api.start(number, APP, dry_run=True).json
    assert (shown["would"], shown["test"], shown["text"], shown["sender"]) == ("send", True, None, "name")
    assert "test" not in api.start("+4915123456789", APP, dry_run=True).json


def test_a_subject_logs_in_by_a_test_number(api: ApiHarness) -> None:
    """By the one door as by the verification; the factor's approval is marked."""
    assert api.start(NUMBER, APP, subject="reviewer").status == 201
    approved = api.call("POST", "/verify/check", {"subject": "reviewer", "code": CODE}, key=APP)
    assert (approved.status, approved.json["kind"], approved.json["test"]) == (200, "sms", True)
    assert api.start(NUMBER, APP, subject="reviewer").status == 201
    wrong = api.call("POST", "/verify/check", {"subject": "reviewer", "code": "000000"}, key=APP)
    assert wrong.problem(422, "code_incorrect")["test"] is True
