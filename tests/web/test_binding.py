"""A challenge at the start and its verifier at the check, over HTTP."""

import pytest

from otp_service.domain.binding import challenge_of

from .conftest import ApiHarness

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""The example of RFC 7636, appendix B."""


def test_only_the_verifier_approves_and_others_spend_nothing(api: ApiHarness) -> None:
    """By id and by number: two are judged, then 429 until the code's end; the owner has all tries."""
    assert challenge_of(VERIFIER) == CHALLENGE
    number = api.number()
    started = api.started(number, code_challenge=CHALLENGE)
    code = api.code(started)
    by_number = {"to": number, "code": code, "code_verifier": VERIFIER[::-1]}
    assert api.check(started, code).problem(422, "code_incorrect")["checks_left"] == 1
    assert api.call("POST", "/verify/check", by_number).problem(422, "code_incorrect")["checks_left"] == 0
    refused = api.check(started, code)
    refused.problem(429, "too_many_wrong_codes")
    assert 0 < int(refused.header("Retry-After") or 0) <= 300
    assert api.call("GET", f"/verify/{started}").json["checks_left"] == 5
    wrong = api.check(started, api.wrong(started), code_verifier=VERIFIER)
    assert wrong.problem(422, "code_incorrect")["checks_left"] == 4
    assert api.check(started, code, code_verifier=VERIFIER).json["status"] == "approved"
    assert CHALLENGE not in api.call("GET", f"/verify/{started}").body.decode()
    found = api.call("GET", f"/audit/events?verification={started}&type=check.failed").json["events"]
    assert [event["detail"] for event in found] == [*[{"reason": "code_verifier"}] * 2, {"checks_left": 4}]


def test_the_budget_of_a_subject_is_not_spent_either(api: ApiHarness) -> None:
    """By subject, by id and by number: a check without the verifier takes none of the subject's tries."""
    number = api.number()
    started = api.started(number, subject="anna", code_challenge=CHALLENGE)
    code = api.code(started)
    by_subject = {"subject": "anna", "code": code}
    answers = [api.call("POST", "/verify/check", by_subject), *(api.check(started, code) for _ in range(4))]
    assert [answer.status for answer in answers] == [422, 422, 429, 429, 429]
    wrong = api.check(started, api.wrong(started), code_verifier=VERIFIER)
    assert wrong.problem(422, "code_incorrect")["checks_left"] == 4
    approved = api.call("POST", "/verify/check", {**by_subject, "code_verifier": VERIFIER})
    assert approved.json["kind"] == "sms"


@pytest.mark.parametrize("text", ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 42 + "\n", "é" * 43, 7, None])
def test_a_challenge_of_another_form_is_refused(api: ApiHarness, text: object) -> None:
    """400 with its pointer; never taken for none."""
    problem = api.start(api.number(), code_challenge=text).problem(400, "invalid_request")
    assert problem["errors"][0]["pointer"] == "/code_challenge"


@pytest.mark.parametrize("text", ["", "A" * 42, "A" * 129, "A" * 42 + "+", "A" * 43 + "\n", 7, None])
def test_a_verifier_of_another_form_is_refused_and_costs_no_try(api: ApiHarness, text: object) -> None:
    """400 with its pointer."""
    started = api.started(api.number(), code_challenge=CHALLENGE)
    problem = api.check(started, api.code(started), code_verifier=text).problem(400, "invalid_request")
    assert problem["errors"][0]["pointer"] == "/code_verifier"
    assert api.check(started, api.code(started), code_verifier=VERIFIER).status == 200
