"""Guesses at one person from three processes at the same moment, over three factors: as many judgements as in a row."""

from collections import Counter

import pytest

from .conftest import ApiHarness
from .people import Person
from .three_processes import PROCESSES, ask, processes


@pytest.fixture
def ann(api: ApiHarness) -> Person:
    """A person with an authenticator app, recovery codes and a number to which a code was sent."""
    person = Person(api, "user-ann")
    first = api.started(api.number(), subject=person.subject)
    assert person.check(api.code(first)).status == 200
    person.enrolled()
    return person


def test_three_processes_judge_as_one(api: ApiHarness, ann: Person) -> None:
    """Fifty guesses with two right codes: each approved once. Fifty-one wrong ones over three factors: five judged.

    By subject with six digits and as recovery codes, and by the id of a verification that named the subject.
    """
    codes = ann.recovery_codes()
    (factor_id,) = ann.phone
    foreign = Person(api, "somebody else").recovery_codes()
    proof = ann.check(codes[0]).json["receipt"]
    started = api.start(api.number(), subject=ann.subject, purpose="bind", proof=proof).json["verification_id"]
    with processes(api) as running:
        bodies = [{"subject": ann.subject, "code": code} for code in (ann.shown(factor_id, 1), codes[1])]
        answers = ask(running, api.key(), [bodies[number // PROCESSES % 2] for number in range(50)])
        assert answers == Counter({(200, ""): 2, (410, "code_used"): 48})
        kinds = [
            {"subject": ann.subject, "code": ann.wrong()},
            {"subject": ann.subject, "code": foreign[0]},
            {"verification_id": started, "code": api.wrong(started)},
        ]
        answers = ask(running, api.key(), [kinds[number // PROCESSES % 3] for number in range(51)])
    judged = answers[422, "code_incorrect"] + answers[410, "attempts_exhausted"]
    assert (judged, answers[429, "too_many_wrong_codes"]) == (5, 46), answers
