"""One door for all factors of a person: the code's form says which it can be, and one budget holds for all."""

import pytest

from otp_service.storage.api_keys import SCOPES

from .conftest import ApiHarness
from .people import Person


@pytest.fixture
def ann(api: ApiHarness) -> Person:
    """A person without factors."""
    return Person(api, "user-ann")


def test_recovery_codes_are_good_once_each(ann: Person) -> None:
    """The reply says how many are left; the last three are worth telling the person."""
    codes = ann.recovery_codes()
    assert len(set(codes)) == 10
    (factor,) = ann.factors()
    assert (factor["kind"], factor["codes_left"], factor["status"]) == ("recovery_code", 10, "active")
    for used, code in enumerate(codes, 1):
        approved = ann.check(code.lower().replace("-", " "))
        assert approved.status == 200, approved.body
        assert (approved.json["kind"], approved.json["codes_left"]) == ("recovery_code", 10 - used)
        assert approved.json["factor_id"] == factor["factor_id"]
        ann.check(code).problem(410, "code_used")
    assert ann.factors()[0]["codes_left"] == 0
    events = ann.call("GET", "/audit/events?type=factor.codes_low").json["events"]
    assert [event["detail"]["codes_left"] for event in events] == [3]


def test_a_typing_mistake_is_told_and_costs_no_try(ann: Person) -> None:
    """400 for one wrong character and for two swapped; a whole code that was never given is wrong."""
    codes = ann.recovery_codes()
    for _ in range(8):
        mistyped = codes[0][:-1] + ("A" if codes[0][-1] != "A" else "B")
        assert ann.check(mistyped).problem(400, "invalid_request")["errors"][0]["pointer"] == "/code"
    foreign = Person(ann.api, "somebody else").recovery_codes()[0]
    assert ann.check(foreign).problem(422, "code_incorrect")["checks_left"] == 4


def test_new_recovery_codes_replace_the_old_ones(ann: Person) -> None:
    """At once, all of them."""
    old, new = ann.recovery_codes(), ann.recovery_codes()
    assert len(ann.factors()) == 1
    ann.check(old[0]).problem(422, "code_incorrect")
    assert ann.check(new[0]).status == 200


def test_all_factors_share_one_budget(ann: Person) -> None:
    """Two wrong codes of the app, two recovery codes, one by the factor's id: then none is judged for 30 seconds."""
    factor_id, codes = ann.enrolled(), ann.recovery_codes()
    foreign = Person(ann.api, "somebody else").recovery_codes()
    assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == 4
    assert ann.check(foreign[0]).problem(422, "code_incorrect")["checks_left"] == 3
    assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == 2
    by_id = ann.call("POST", f"/factors/{factor_id}/check", {"code": ann.wrong()})
    assert by_id.problem(422, "code_incorrect")["checks_left"] == 1
    assert ann.check(foreign[1]).problem(422, "code_incorrect")["checks_left"] == 0
    for code in (codes[0], ann.shown(factor_id), ann.wrong()):
        refused = ann.check(code)
        refused.problem(429, "too_many_wrong_codes")
        assert 1 <= int(refused.header("Retry-After") or 0) <= 30
    ann.call("POST", f"/factors/{factor_id}/check", {"code": ann.shown(factor_id)}).problem(429, "too_many_wrong_codes")


def test_an_approval_gives_the_tries_back(ann: Person) -> None:
    """By whatever factor it was."""
    ann.enrolled()
    codes = ann.recovery_codes()
    for left in (4, 3, 2, 1):
        assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == left
    assert ann.check(codes[0]).status == 200
    assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == 4


def test_a_form_that_no_factor_has_costs_no_try(ann: Person) -> None:
    """404, before there is any factor and beside others."""
    unknown = Person(ann.api, "nobody")
    unknown.check("123456").problem(404, "factor_not_found")
    ann.enrolled()
    foreign = unknown.recovery_codes()[0]
    for _ in range(7):
        ann.check("12345678").problem(404, "factor_not_found")
        ann.check(foreign).problem(404, "factor_not_found")
    assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == 4


def test_every_change_and_use_is_an_event(ann: Person) -> None:
    """With the factor's id and the person's `sub`; the secret, the codes and the app's own id of the person nowhere."""
    made = ann.enroll(label="Phone")
    factor_id = made["factor_id"]
    ann.confirm(factor_id, ann.wrong()).problem(422, "code_incorrect")
    assert ann.confirm(factor_id, ann.shown(factor_id)).status == 200
    codes = ann.recovery_codes()
    code = ann.shown(factor_id, 1)
    approved = ann.check(code).json
    ann.check(code).problem(410, "code_used")
    ann.check(code).problem(410, "code_used")  # on record once
    ann.check(ann.wrong()).problem(422, "code_incorrect")
    assert ann.check(codes[0]).status == 200
    assert ann.call("PATCH", f"/factors/{factor_id}", {"label": "Other"}).status == 200
    assert ann.call("DELETE", f"/factors/{factor_id}").status == 204
    assert ann.call("POST", "/receipts/redeem", {"receipt": approved["receipt"]}).status == 200
    page = ann.call("GET", "/audit/events")
    found = [event for event in page.json["events"] if event["type"].startswith(("factor.", "receipt."))]
    assert [event["type"] for event in found] == [
        *("factor.enrolled", "factor.check_failed", "factor.added", "factor.codes_replaced", "factor.approved"),
        *("factor.code_used", "factor.check_failed", "factor.approved", "factor.renamed", "factor.removed"),
        "receipt.redeemed",
    ]
    assert {event["detail"]["sub"] for event in found} == {approved["sub"]}
    assert all(event["app"] == "default" and event["by"]["key_id"] for event in found)
    shown = page.body.decode() + str(ann.factors())
    stored = "".join(map(str, (ann.api.store.hgetall(key) for key in ann.api.store.scan_iter(match="*:subject:*"))))
    for secret in (made["secret"], ann.subject, *codes, *(code.replace("-", "") for code in codes)):
        assert secret not in shown
        assert secret not in stored


def test_the_door_needs_the_scope_of_checks(api: ApiHarness) -> None:
    """`verify` opens it, and only `factors` changes factors."""
    others = tuple(scope for scope in SCOPES if scope != "verify")
    body = {"subject": "a", "code": "123456"}
    api.call("POST", "/verify/check", body, key=api.key("default", *others)).problem(403, "forbidden")
    api.call("POST", "/verify/check", body, key=api.key("default", "verify")).problem(404, "factor_not_found")


def test_a_purpose_can_leave_kinds_out(api: ApiHarness) -> None:
    """As the app's configuration says; what is left out is as if it were not there. Other purposes take all kinds."""
    person = Person(api, "user-1", "careful")
    factor_id, codes = person.enrolled(), person.recovery_codes()
    person.check(codes[0], purpose="pay").problem(404, "factor_not_found")
    person.check(person.shown(factor_id), purpose="sms_only").problem(404, "factor_not_found")
    assert person.check(person.shown(factor_id), purpose="pay").status == 200
    assert person.check(codes[0]).status == 200
    # A code that would count for nothing is not sent, and the refusal names what counts.
    for members in ({}, {"subject": person.subject}, {"subject": person.subject, "dry_run": True}):
        answer = api.start(api.number(), "careful", purpose="approve", **members)
        if "dry_run" in members:
            assert answer.json["refused_by"]["code"] == "channel_unavailable"
            continue
        ways = answer.problem(422, "channel_unavailable")["alternatives"]
        assert ways == ([{"kind": "totp"}] if members else [])
