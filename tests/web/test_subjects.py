"""Codes that are sent for a subject: one budget with all other factors, bound numbers, other ways to get in."""

from typing import Any

import pytest

from otp_service.bootstrap import accept_keyring, lift_subject
from otp_service.domain.factors import BINDS_MS
from otp_service.storage.schema.encodings import SentCode
from otp_service.storage.schema.fields import Subject

from .conftest import ApiHarness
from .people import Person

SENT_TO_BIND = f"{Subject.SENT}bind"


@pytest.fixture
def ann(api: ApiHarness) -> Person:
    """A person without factors."""
    return Person(api, "user-ann")


def start(person: Person, to: str, **members: object) -> str:
    """Start for the person; the verification's id."""
    return person.api.started(to, person.app, subject=person.subject, **members)


def bound(person: Person, to: str) -> None:
    """Bind the number by the first login."""
    assert person.check(person.api.code(start(person, to))).status == 200


def test_the_first_login_binds_the_number(ann: Person) -> None:
    """Start and check by subject alone: approved as `sms`, and the number is a factor from now on."""
    to = ann.api.number()
    started = ann.api.start(to, subject=ann.subject)
    assert started.status == 201
    verification = started.json["verification_id"]
    approved = ann.check(ann.api.code(verification))
    assert approved.status == 200, approved.body
    assert (approved.json["kind"], approved.json["verification_id"]) == ("sms", verification)
    assert approved.json["sub"] == started.json["sub"]
    (factor,) = ann.factors()
    assert factor["factor_id"] == approved.json["factor_id"]
    assert (factor["kind"], factor["to"], factor["status"]) == ("sms", f"+1******{to[-4:]}", "active")
    spent = ann.call("POST", "/receipts/redeem", {"receipt": approved.json["receipt"], "sub": started.json["sub"]})
    assert (spent.status, spent.json["verification_id"], spent.json["sub"]) == (200, verification, started.json["sub"])
    ann.check(ann.wrong()).problem(410, "already_approved")


def test_a_check_by_id_or_number_draws_on_the_subjects_budget(ann: Person) -> None:
    """Wrong codes over the app, the sent code by id and by number, and recovery codes: five in all."""
    to = ann.api.number()
    bound(ann, to)
    ann.enrolled()
    ann.recovery_codes()
    foreign = Person(ann.api, "somebody else").recovery_codes()[0]
    verification = start(ann, to, purpose="pay")
    code, wrong = ann.api.code(verification), ann.api.wrong(verification)
    assert ann.check(foreign).problem(422, "code_incorrect")["checks_left"] == 4
    assert ann.api.check(verification, wrong).problem(422, "code_incorrect")["checks_left"] == 3
    by_number = ann.call("POST", "/verify/check", {"to": to, "purpose": "pay", "code": wrong})
    assert by_number.problem(422, "code_incorrect")["checks_left"] == 2
    assert ann.check(foreign).problem(422, "code_incorrect")["checks_left"] == 1
    assert ann.check(ann.wrong(), purpose="pay").status == 422
    ann.api.check(verification, code).problem(429, "too_many_wrong_codes")
    ann.call("POST", "/verify/check", {"to": to, "purpose": "pay", "code": code}).problem(429, "too_many_wrong_codes")
    ann.check(code, purpose="pay").problem(429, "too_many_wrong_codes")
    # The number's own budget was not drawn on: another verification without a subject is judged.
    other = ann.api.started(to, purpose="other")
    assert ann.api.check(other, ann.api.wrong(other)).problem(422, "code_incorrect")["checks_left"] == 4


def test_an_approval_by_id_gives_the_tries_back(ann: Person) -> None:
    """And has the subject's `sub`, as start and GET have it."""
    to = ann.api.number()
    bound(ann, to)
    ann.recovery_codes()
    foreign = Person(ann.api, "somebody else").recovery_codes()[0]
    for left in (4, 3, 2, 1):
        assert ann.check(foreign).problem(422, "code_incorrect")["checks_left"] == left
    verification = start(ann, to)
    shown = ann.call("GET", f"/verify/{verification}").json
    approved = ann.api.check(verification, ann.api.code(verification), to=to)
    assert (approved.status, approved.json["sub"]) == (200, shown["sub"])
    assert ann.check(foreign).problem(422, "code_incorrect")["checks_left"] == 4


def test_what_is_no_judgement_costs_no_try(ann: Person) -> None:
    """An ended verification, and assertions that do not fit."""
    to = ann.api.number()
    bound(ann, to)
    ann.recovery_codes()
    foreign = Person(ann.api, "somebody else").recovery_codes()[0]
    verification = start(ann, to)
    for _ in range(6):
        ann.api.check(verification, "123456", purpose="pay").problem(404, "verification_not_found")
        ann.check("123456", purpose="pay").problem(404, "factor_not_found")
    assert ann.call("POST", f"/verify/{verification}/cancel").status == 200
    for _ in range(6):
        ann.check("123456").problem(410, "verification_canceled")
    assert ann.check(foreign).problem(422, "code_incorrect")["checks_left"] == 4


def test_one_guess_is_compared_with_all_factors_and_counts_once(ann: Person) -> None:
    """Six digits that are neither the app's nor those that were sent; then each of the two is right."""
    to = ann.api.number()
    bound(ann, to)
    factor_id = ann.enrolled()
    verification = start(ann, to)
    assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == 4
    assert ann.check(ann.api.code(verification)).json["kind"] == "sms"
    start(ann, to)
    code = ann.shown(factor_id)
    assert ann.check(code).json["kind"] == "totp"
    ann.check(code).problem(410, "code_used")
    assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == 4


def test_a_number_that_is_not_bound_gets_no_code(ann: Person) -> None:
    """403, once the subject has any factor; a proof of the subject binds it, and is spent."""
    ann.enrolled()
    to = ann.api.number()
    ann.api.start(to, subject=ann.subject).problem(403, "number_not_bound")
    ann.api.start(to, subject=ann.subject, purpose="bind").problem(403, "number_not_bound")
    codes = ann.recovery_codes()
    proof = ann.check(codes[0]).json["receipt"]
    foreign_person = Person(ann.api, "somebody else")
    foreign = foreign_person.check(foreign_person.recovery_codes()[0]).json["receipt"]
    for wrong in (foreign, proof[:-4] + "AAAA", "x"):
        refused = ann.api.start(to, subject=ann.subject, purpose="bind", proof=wrong)
        refused.problem(403, "number_not_bound")
    ann.api.start(to, subject=ann.subject, proof=proof).problem(403, "number_not_bound")  # another purpose
    started = ann.api.start(to, subject=ann.subject, purpose="bind", proof=proof)
    assert started.status == 201, started.body
    ann.call("POST", "/receipts/redeem", {"receipt": proof}).problem(410, "receipt_spent")
    approved = ann.check(ann.api.code(started.json["verification_id"]), purpose="bind")
    assert (approved.status, approved.json["purpose"]) == (200, "bind")
    assert [one["kind"] for one in ann.factors()] == ["totp", "recovery_code", "sms"]
    assert ann.api.start(to, subject=ann.subject).status == 201
    events = ann.call("GET", "/audit/events?type=factor.added").json["events"]
    assert events[-1]["to"] == f"+1******{to[-4:]}"


def test_a_code_that_went_to_a_number_before_it_was_refused_opens_nothing(ann: Person) -> None:
    """Started while the subject had no factor, checked after another number was bound."""
    other_number, own = ann.api.number(), ann.api.number()
    early = start(ann, other_number, purpose="early")
    bound(ann, own)
    code = ann.api.code(early)
    for refused in (
        ann.api.check(early, code),
        ann.call("POST", "/verify/check", {"to": other_number, "purpose": "early", "code": code}),
        ann.api.check(early, ann.api.wrong(early)),
    ):
        refused.problem(403, "number_not_bound")
    ann.check(code, purpose="early").problem(404, "factor_not_found")
    assert [one["to"][-4:] for one in ann.factors()] == [own[-4:]]
    # Nobody is told that it was approved: not who reads it, nor the audit record, which callbacks are made of.
    assert ann.call("GET", f"/verify/{early}").json["status"] == "pending"
    events = ann.call("GET", f"/audit/events?verification={early}").json["events"]
    assert not {"verification.approved", "check.failed"} & {one["type"] for one in events}


def test_a_code_of_before_is_compared_with_no_more_than_the_app(ann: Person) -> None:
    """Its number is not bound: beside an authenticator app its code is a wrong one, and costs a try."""
    early = start(ann, ann.api.number())
    factor_id = ann.enrolled()
    code = ann.api.code(early)
    if code not in {ann.shown(factor_id, step) for step in range(-2, 3)}:
        assert ann.check(code).problem(422, "code_incorrect")["checks_left"] == 4
    assert ann.call("GET", f"/verify/{early}").json["status"] == "pending"
    assert ann.check(ann.shown(factor_id)).json["kind"] == "totp"


def test_two_people_share_a_phone(ann: Person) -> None:
    """Each has a code of their own, and neither opens the other's account."""
    ben, to = Person(ann.api, "user-ben", "twice"), ann.api.number()
    ann.app = "twice"
    mine, his = start(ann, to), start(ben, to)
    assert mine != his
    code = ann.api.code(mine)
    if code != ann.api.code(his):
        ben.check(code).problem(422, "code_incorrect")
    assert ann.check(code).json["verification_id"] == mine
    assert ben.check(ann.api.code(his)).json["verification_id"] == his
    assert ann.factors()[0]["to"] == ben.factors()[0]["to"]
    # Whoever asks the record about the number sees both.
    events = ann.call("GET", f"/audit/events?number=%2B{to[1:]}&type=verification.started").json["events"]
    subs = [ann.api.start(to, "twice", subject=one.subject).json["sub"] for one in (ann, ben)]
    assert [event["detail"]["sub"] for event in events] == subs


def test_a_start_that_cannot_send_names_the_other_ways(ann: Person) -> None:
    """Opted out, a country that is not allowed, a kind of number, a channel."""
    to = ann.api.number()
    bound(ann, to)
    ann.api.opt_out(to)
    assert ann.api.start(to, subject=ann.subject).problem(403, "opted_out")["alternatives"] == []
    ann.enrolled()
    assert ann.check(ann.recovery_codes()[0]).status == 200
    ways = [{"kind": "totp"}, {"kind": "recovery_code", "codes_left": 9}]
    for number, members, status, code in [
        (to, {}, 403, "opted_out"),
        ("+442079460018"[:-4] + "1234", {}, 403, "country_not_allowed"),
        ("+19005550123", {}, 403, "destination_blocked"),
        (to, {"channel": "whatsapp"}, 422, "channel_unavailable"),
    ]:
        answer = ann.api.start(number, subject=ann.subject, **members)
        assert answer.problem(status, code)["alternatives"] == ways
    # A number that is not bound, and a wait: whoever has another factor need not wait.
    assert ann.api.start(ann.api.number(), subject=ann.subject).problem(403, "number_not_bound")["alternatives"] == ways
    other = Person(ann.api, "user-ben")
    mine = ann.api.number()
    bound(other, mine)
    other.enrolled()
    start(other, mine)
    too_soon = ann.api.start(mine, subject=other.subject)
    assert too_soon.problem(429, "resend_too_soon")["alternatives"] == ways[:1]
    assert "alternatives" not in ann.api.start(mine).problem(429, "resend_too_soon")


def test_the_subject_is_an_assertion_beside_an_id_or_a_number(ann: Person) -> None:
    """Another person's is 404 as if there were none, and costs no try; the own one is judged."""
    to = ann.api.number()
    verification = start(ann, to)
    code = ann.api.code(verification)
    for _ in range(7):
        ann.api.check(verification, code, subject="somebody else").problem(404, "verification_not_found")
        by_number = {"to": to, "code": code, "subject": "somebody else"}
        ann.call("POST", "/verify/check", by_number).problem(404, "verification_not_found")
    other = ann.api.started(ann.api.number())
    ann.api.check(other, ann.api.code(other), subject=ann.subject).problem(404, "verification_not_found")
    assert ann.api.check(verification, code, subject=ann.subject).status == 200


def test_a_number_that_was_removed_needs_a_new_proof(ann: Person) -> None:
    """The code that bound it gives it no right to come back."""
    bound(ann, ann.api.number())
    to = ann.api.number()
    another(ann, to)
    (factor,) = [one for one in ann.factors() if one.get("to", "")[-4:] == to[-4:]]
    assert ann.call("DELETE", f"/factors/{factor['factor_id']}").status == 204
    ann.api.start(to, ann.app, subject=ann.subject, purpose="bind").problem(403, "number_not_bound")
    another(ann, to)
    assert to[-4:] in [one.get("to", "")[-4:] for one in ann.factors()]


def test_a_proof_lasts_as_long_as_a_code_may_be_on_its_way(ann: Person) -> None:
    """Until then another code may follow the first; later it takes a new proof."""
    ann.app = "twice"
    bound(ann, ann.api.number())
    to, proof = ann.api.number(), ann.check(ann.recovery_codes()[0]).json["receipt"]
    first = start(ann, to, purpose="bind", proof=proof)
    assert ann.call("POST", f"/verify/{first}/cancel").status == 200
    second = start(ann, to, purpose="bind")
    assert ann.call("POST", f"/verify/{second}/cancel").status == 200
    (key,) = [key for key in ann.api.store.scan_iter(match="*:subject:*") if ann.api.store.hexists(key, SENT_TO_BIND)]
    *sent, at_ms = SentCode.parse(str(ann.api.store.hget(key, SENT_TO_BIND), "ascii"))  # type: ignore[arg-type]
    ann.api.store.hset(key, SENT_TO_BIND, SentCode.pack(*sent, int(at_ms) - BINDS_MS))
    ann.api.start(to, ann.app, subject=ann.subject, purpose="bind").problem(403, "number_not_bound")


@pytest.mark.parametrize("purpose", ["a:factor", ":factor", "a:number", "a:confirm_by_ms", "sent:", "a:sealed"])
def test_a_purpose_may_end_like_the_name_of_a_field(ann: Person, purpose: str) -> None:
    """It is the caller's word, and stands in the name of a field of the subject."""
    assert ann.check(ann.api.code(start(ann, ann.api.number(), purpose=purpose)), purpose=purpose).status == 200
    ann.enrolled()
    another(ann, ann.api.number())
    assert [one["kind"] for one in ann.factors()] == ["sms", "totp", "recovery_code", "sms"]
    assert [one[1:] for one in told(ann)] == [("number_added", True, None)]


def told(ann: Person) -> list[tuple[str, str, bool, str | None]]:
    """The events that say whether numbers were told: which, about what, whether, and which refusal."""
    events = ann.call("GET", "/audit/events?type=factor.number_told").json["events"]
    found = [(event["to"][-4:], event["detail"]) for event in events]
    return [(to, one["notice"], one["told"], one.get("refused_by")) for to, one in found]


def queued(ann: Person, to: str) -> list[dict[str, Any]]:
    """The notices to a number, as boxes that a worker would open."""
    events = ann.call("GET", "/audit/events?type=verification.started").json["events"]
    notices = [one for one in events if one["to"][-4:] == to[-4:] and one["detail"]["purpose"].startswith("number_")]
    return [ann.call("GET", f"/verify/{one['verification_id']}").json for one in notices]


def another(ann: Person, to: str, **members: object) -> None:
    """Bind another number, with a recovery code as proof unless members are given."""
    given = members or {"proof": ann.check(ann.recovery_codes()[0]).json["receipt"]}
    started = ann.api.start(to, subject=ann.subject, purpose="bind", **given)
    assert started.status == 201, started.body
    assert ann.check(ann.api.code(started.json["verification_id"]), purpose="bind").status == 200


def test_the_old_number_is_told_of_a_change(ann: Person) -> None:
    """When another one is bound and when it is removed itself: by a message without a code, an event, once."""
    old, new = ann.api.number(), ann.api.number()
    bound(ann, old)
    assert told(ann) == []
    another(ann, new)
    assert told(ann) == [(old[-4:], "number_added", True, None)]
    (notice,) = queued(ann, old)
    assert (notice["purpose"], notice["status"], notice["deliveries"][0]["status"]) == (
        "number_added",
        "pending",
        "queued",
    )
    assert ann.api.code(notice["verification_id"]) == ""
    ann.api.check(notice["verification_id"], "123456").problem(404, "verification_not_found")
    by_number = {"to": old, "code": "123456", "purpose": "number_added"}
    ann.call("POST", "/verify/check", by_number).problem(404, "verification_not_found")
    ann.api.start(old, purpose="number_added").problem(400, "invalid_request")
    (factor,) = [one for one in ann.factors() if one.get("to", "")[-4:] == old[-4:]]
    assert ann.call("DELETE", f"/factors/{factor['factor_id']}").status == 204
    assert told(ann)[1:] == [(old[-4:], "number_removed", True, None)]
    assert [one["purpose"] for one in queued(ann, old)] == ["number_added", "number_removed"]
    assert queued(ann, new) == []


def test_a_number_that_opted_out_is_not_told(ann: Person) -> None:
    """The event says so, and the change stands."""
    old, new = ann.api.number(), ann.api.number()
    bound(ann, old)
    ann.api.opt_out(old)
    another(ann, new)
    assert told(ann) == [(old[-4:], "number_added", False, "opted_out")]
    assert len([one for one in ann.factors() if one["kind"] == "sms"]) == 2


def test_an_approval_that_is_told_again_changes_nothing(ann: Person) -> None:
    """With an Idempotency-Key: one event of each kind, one notice, and wrong codes since then stay counted."""
    old, new = ann.api.number(), ann.api.number()
    bound(ann, old)
    proof = ann.check(ann.recovery_codes()[0]).json["receipt"]
    started = ann.api.start(new, subject=ann.subject, purpose="bind", proof=proof).json["verification_id"]
    body = {"verification_id": started, "code": ann.api.code(started)}
    named = {"Idempotency-Key": "bind-1"}
    first = ann.api.call("POST", "/verify/check", body, headers=named)
    assert first.status == 200, first.body
    ann.enrolled()
    assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == 4
    for key in ann.api.store.scan_iter(match="otp:idempotency:*"):
        ann.api.store.delete(key)
    assert ann.api.call("POST", "/verify/check", body, headers=named).body == first.body
    assert ann.check(ann.wrong()).problem(422, "code_incorrect")["checks_left"] == 3
    approved = ann.call("GET", "/audit/events?type=factor.approved").json["events"]
    assert [one["detail"]["kind"] for one in approved] == ["sms", "recovery_code", "sms"]
    assert len(told(ann)) == len(queued(ann, old)) == 1


def test_an_operator_lets_a_person_bind_another_number(ann: Person) -> None:
    """Without proof, once; the old number is told all the same."""
    old, new, third = (ann.api.number() for _ in range(3))
    bound(ann, old)
    ann.api.start(new, subject=ann.subject, purpose="bind").problem(403, "number_not_bound")
    accept_keyring(ann.api.settings)
    lift_subject(ann.api.settings, ann.app, ann.subject, "called, identity checked", number=True)
    ann.api.start(new, subject=ann.subject).problem(403, "number_not_bound")  # a login is none of it
    another(ann, new, locale="de")
    assert told(ann) == [(old[-4:], "number_added", True, None)]
    ann.api.start(third, subject=ann.subject, purpose="bind").problem(403, "number_not_bound")
    (lifted,) = ann.call("GET", "/audit/events?type=factor.lifted").json["events"]
    assert (lifted["detail"]["may_bind"], lifted["detail"]["reason"]) == (True, "called, identity checked")
    another(ann, third)
    events = ann.call("GET", "/audit/events?type=factor.number_told").json["events"]
    assert [one["to"][-4:] for one in events] == [old[-4:], old[-4:], new[-4:]]


@pytest.mark.parametrize("by_check", [True, False])
def test_what_a_process_that_died_did_not_tell_is_told_by_the_next(ann: Person, *, by_check: bool) -> None:
    """The number was bound, and nobody told: the next check or start of the person goes on, once."""
    old, new = ann.api.number(), ann.api.number()
    bound(ann, old)
    proof = ann.check(ann.recovery_codes()[0]).json["receipt"]
    verification = ann.api.started(new, subject=ann.subject, purpose="bind", proof=proof)
    code = ann.api.code(verification)
    (key,) = ann.api.store.scan_iter(match="*:subject:*")
    ann.api.store.hset(key, "untold", verification.removeprefix("vrf_"))
    for _ in range(2):
        if by_check:
            ann.check(ann.wrong())
        else:
            ann.api.start(old, subject=ann.subject)
        assert told(ann) == [(old[-4:], "number_added", True, None)]
        assert not ann.api.store.hexists(key, "untold")
    assert ann.api.check(verification, code).status == 200
    assert len(told(ann)) == len(queued(ann, old)) == 1
