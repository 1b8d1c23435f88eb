"""GET /people/{number} and its lift: what a person who supports another one sees and takes away."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from otp_service import bootstrap
from otp_service.cli.main import main

from .conftest import OTHER_PROFILE, PROFILE, ApiHarness

REASON = "Ticket 4711: the person called"


def person(api: ApiHarness, number: str, app: str = "default") -> Any:
    """What stands against the number, as a support key of the app sees it."""
    answer = api.call("GET", f"/people/%2B{number[1:]}", key=api.key(app, "support"))
    assert answer.status == 200, answer.body
    assert number[1:] not in answer.body.decode()
    return answer.json


def lift(api: ApiHarness, number: str, what: str, app: str = "default") -> list[str]:
    """Take it away; what stood."""
    body = {"what": what, "reason": REASON}
    answer = api.call("POST", f"/people/%2B{number[1:]}/lift", body, key=api.key(app, "support"))
    assert answer.status == 200, answer.body
    assert list(answer.json) == ["lifted"]
    found: list[str] = answer.json["lifted"]
    return found


def events(api: ApiHarness, kind: str) -> list[Mapping[str, Any]]:
    """The events of this type."""
    found: list[Mapping[str, Any]] = api.call("GET", f"/audit/events?type={kind}&limit=1000").json["events"]
    return found


def lock(api: ApiHarness, number: str) -> None:
    """A caller without the phone uses up the budget of wrong codes of the app `strict`, which is two."""
    started = api.started(number, "strict")
    for _ in range(2):
        assert api.check(started, api.wrong(started), "strict").status == 422
    api.start(number, "strict").problem(429, "too_many_wrong_codes")


def test_a_locked_number_is_explained_and_unlocked(api: ApiHarness) -> None:
    """The block names limit and wait, as the refused start does; after the lift a code is sent again."""
    number = api.number()
    assert person(api, number, "strict")["blocks"] == []
    assert lift(api, number, "lock", "strict") == []
    lock(api, number)
    refused = int(api.start(number, "strict").header("Retry-After") or 0)
    shown = person(api, number, "strict")
    (block,) = [one for one in shown["blocks"] if one["code"] == "too_many_wrong_codes"]
    assert (block["app"], block["limit"], block["lift"]) == ("strict", "wrong_codes_per_number", "lock")
    assert 0 <= refused - block["retry_after"] <= 60
    (app,) = shown["apps"]
    used = {(limit["name"], limit["per"]): (limit["used"], limit["limit"]) for limit in app["limits"]}
    assert used["wrong_codes_per_number", 3600] == (2, 2)
    assert used["consecutive_wrong_codes", 30 * 86_400] == (2, 100)
    assert used["service.sends_per_number", 600] == (1, 5)
    assert used["resend_after", 3600] == (1, 4)
    (latest,) = app["verifications"]
    assert (latest["purpose"], latest["status"], latest["checks_left"]) == ("login", "pending", 3)
    assert [one["status"] for one in latest["deliveries"]] == ["queued"]
    lifted = lift(api, number, "lock", "strict")
    assert set(lifted) == {
        *("wrong_codes_per_number", "service.wrong_codes_per_number", "service.sends_per_number"),
        *("resend_after", "starts_per_number"),
    }
    assert (person(api, number, "strict")["blocks"], lift(api, number, "lock", "strict")) == ([], [])
    assert api.start(number, "strict").status == 200
    details = [event["detail"] for event in events(api, "person.lock_lifted")]
    assert [(detail["lifted"], detail["reason"]) for detail in details] == [
        ([], REASON),
        (lifted, REASON),
        ([], REASON),
    ]
    assert {event["app"] for event in events(api, "person.shown")} == {"strict"}


def test_ladder_and_caps_are_explained_and_lifted(api: ApiHarness) -> None:
    """The wait of a purpose, and the caps over all apps, which other apps' sends fill too."""
    number = api.number()
    for purpose in ("a", "b", "c"):
        api.started(number, purpose=purpose)
    for purpose in ("a", "b"):
        api.started(number, "other", purpose=purpose)
    blocks = person(api, number)["blocks"]
    ladders = [(one["purpose"], one["limit"]) for one in blocks if one["code"] == "resend_too_soon"]
    assert sorted(ladders) == [("a", "resend_after"), ("b", "resend_after"), ("c", "resend_after")]
    (cap,) = [one for one in blocks if one["code"] == "rate_limited"]
    refused = api.start(number, purpose="d")
    refused.problem(429, "rate_limited")
    assert 0 <= cap["retry_after"] - int(refused.header("Retry-After") or 0) <= 60
    (app,) = person(api, number)["apps"]
    own = {limit["per"]: limit["used"] for limit in app["limits"] if limit["name"] == "service.sends_per_number"}
    assert own == {600: 3, 3600: 3, 86400: 3}, "an app does not learn how many others sent"
    assert lift(api, number, "lock") == ["starts_per_number", "service.sends_per_number", "resend_after"]
    assert api.start(number, purpose="d").status == 201


def test_an_app_lifts_what_it_did_itself(api: ApiHarness) -> None:
    """Sends and wrong codes of other apps count on: a key of one app opens nothing that another one closed."""
    number = api.number()
    for purpose in "abc":
        started = api.started(number, purpose=purpose)
        api.check(started, api.wrong(started))
    for purpose in "de":
        started = api.started(number, "other", purpose=purpose)
        api.check(started, api.wrong(started), "other")
    api.start(number, purpose="f").problem(429, "rate_limited")
    lifted = {"wrong_codes_per_number", "starts_per_number", "resend_after"}
    lifted |= {"service.wrong_codes_per_number", "service.sends_per_number"}
    assert set(lift(api, number, "lock")) == lifted
    used = {(limit["name"], limit["per"]): limit["used"] for limit in person(api, number, "other")["apps"][0]["limits"]}
    assert used["service.sends_per_number", 600] == used["service.wrong_codes_per_number", 86400] == 2
    assert used["wrong_codes_per_number", 86400] == 2
    for purpose in "ghi":
        assert api.start(number, purpose=purpose).status == 201
    api.start(number, purpose="j").problem(429, "rate_limited")
    assert lift(api, number, "lock", "everywhere") == []
    api.start(number, purpose="j").problem(429, "rate_limited")


def test_an_opt_out_is_explained_and_lifted_for_the_apps_own_profiles(api: ApiHarness) -> None:
    """With source and time; another app's profile is neither shown nor lifted."""
    number = api.number()
    api.opt_out(number)
    api.opt_out(number, OTHER_PROFILE)
    api.start(number).problem(403, "opted_out")
    shown = person(api, number)
    (entry,) = shown["apps"][0]["optouts"]
    assert (entry["messaging_profile_id"], entry["opted_out"], entry["source"]) == (PROFILE, True, "inbound")
    assert entry["since"] == "2026-01-31T12:00:00.000Z"
    (block,) = shown["blocks"]
    assert (block["code"], block["messaging_profile_id"], block["lift"]) == ("opted_out", PROFILE, "optout")
    assert lift(api, number, "optout") == [PROFILE]
    assert lift(api, number, "optout") == []
    assert api.start(number).status == 201
    assert person(api, number, "abroad")["apps"][0]["optouts"][0]["opted_out"]
    (removed,) = events(api, "optout.removed")
    assert removed["detail"] == {"messaging_profile_id": PROFILE, "source": "support", "reason": REASON}


def test_two_spellings_of_a_phone_are_one_person(api: ApiHarness) -> None:
    """Whatever the support types."""
    api.started("+525512345678", "everywhere")
    (app,) = person(api, "+5215512345678", "everywhere")["apps"]
    assert len(app["verifications"]) == 1
    assert "service.sends_per_number" in lift(api, "+5215512345678", "lock", "everywhere")
    assert api.start("+525512345678", "everywhere", purpose="b").status == 201


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"what": "lock"}, "/reason"),
        ({"what": "lock", "reason": ""}, "/reason"),
        ({"what": "lock", "reason": " \u200b "}, "/reason"),
        ({"what": "lock", "reason": "x" * 201}, "/reason"),
        ({"what": "lock", "reason": "a\nb"}, "/reason"),
        ({"what": "lock", "reason": "called from +1 (202) 555-0143"}, "/reason"),
        ({"what": "all", "reason": "x"}, "/what"),
        ({"what": "lock", "reason": "x", "app": "other"}, "/app"),
    ],
)
def test_a_lift_needs_a_reason_that_may_be_recorded(api: ApiHarness, body: object, pointer: str) -> None:
    """400 with its pointer; nothing is lifted, and a number in a reason never reaches the record."""
    number = api.number()
    answer = api.call("POST", f"/people/%2B{number[1:]}/lift", body)
    assert answer.problem(400, "invalid_request")["errors"][0]["pointer"] == pointer
    assert events(api, "person.lock_lifted") == []


def test_what_is_no_number_is_nobody(api: ApiHarness) -> None:
    """422, for both."""
    api.call("GET", "/people/12025550143").problem(422, "invalid_number")
    body = {"what": "lock", "reason": REASON}
    api.call("POST", "/people/nobody/lift", body).problem(422, "invalid_number")


def timeless(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Blocks without their waits, of which a second may pass between two looks."""
    return [block | {"retry_after": block["retry_after"] is not None} for block in blocks]


def test_the_commands_do_the_same_for_all_apps(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`explain --json` is what the API says, of each app; `lift` clears all of them, with its reason on record."""
    monkeypatch.setenv("OTP_CONFIG", str(api.settings.config_path))
    monkeypatch.setenv("OTP_KEYRING", str(api.settings.keyring_path))
    monkeypatch.setenv("OTP_REDIS_URL", api.settings.redis_url)
    monkeypatch.setenv("TELNYX_BASE_URL", api.settings.telnyx_base_url)

    def run(*words: str) -> str:
        assert main(words) == 0
        return capsys.readouterr().out

    bootstrap.accept_keyring(api.settings)
    number = api.number()
    lock(api, number)
    api.opt_out(number)
    shown = json.loads(run("explain", number, "--json"))
    assert {one["app"] for one in shown["apps"]} == set(api.settings.policy.apps)
    alone = json.loads(run("explain", number, "--app", "strict", "--json"))
    assert timeless(alone["blocks"]) == timeless(person(api, number, "strict")["blocks"])
    text = run("explain", number)
    assert "strict gets too_many_wrong_codes (wrong_codes_per_number, passes in" in text
    assert number[1:] not in text
    assert "block_1k 0.0 of 5, block_10k 0.0 of 10" in text
    run("guard", "safelist", "add", number, "--reason", REASON)
    assert "on the safe list; block_1k" in run("explain", number)
    run("guard", "safelist", "remove", number, "--reason", REASON)
    assert json.loads(run("lift", "optout", number, "--reason", REASON, "--json")) == {"lifted": [PROFILE]}
    assert "wrong_codes_per_number" in run("lift", "lock", number, "--reason", REASON)
    assert run("lift", "lock", number, "--reason", REASON) == ""
    assert "nothing refuses a start now" in run("explain", number)
    assert api.start(number, "strict").status == 200
    assert main(["lift", "lock", number, "--reason", "+1 202 555 0143"]) == 1
    assert "telephone number" in capsys.readouterr().err
    assert [event["app"] for event in events(api, "person.lock_lifted")] == [None, None]
