"""The judge's rules about authenticator apps and recovery codes.

An approval is known by its receipt: a reply that is given again has the same one.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import accumulate, pairwise

import pyotp

from .breaches import BUDGET, DOUBLE, FALSE, GAP, REFUSED, Breach
from .case import STORE_FAULTS, Case, Groups, group_by
from .evidence import Call, moment

STEP_S, DRIFT = 30, 1
CLOCK_S = 1.0
FREE = 5
WAITS_S = tuple(accumulate((30, 60, 120, 240)))
"""The seconds after which one, two, three and four more wrong codes may have been judged."""

CHECKS = frozenset({"factor check", "one factor check"})


class Factors:
    """The evidence about factors, indexed."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.calls_of = group_by(case.evidence.calls, lambda call: call.subject)
        self.calls_of.pop("", None)

    @cached_property
    def secrets(self) -> Mapping[str, pyotp.TOTP]:
        """Of each authenticator app that a caller was told of."""
        made = [call for call in self._case.evidence.calls if call.kind == "factor enroll" and call.good]
        return {str(call.body["factor_id"]): pyotp.TOTP(str(call.body["secret"])) for call in made}

    def approvals(self, subject: str) -> list[Call]:
        """Each once, in the order of their times."""
        good = [call for call in self.calls_of[subject] if call.kind in CHECKS and call.good]
        first = {str(call.body["receipt"]): call for call in sorted(good, key=lambda call: -call.ended)}
        return sorted(first.values(), key=lambda call: str(call.body["approved_at"]))

    def step(self, call: Call) -> int | None:
        """The time step whose code was approved; None if the app showed it at no step near the request."""
        totp = self.secrets.get(str(call.body["factor_id"]))
        first, last = (math.floor(at / STEP_S) for at in (call.began - CLOCK_S, call.ended + CLOCK_S))
        steps = range(first - DRIFT, last + DRIFT + 1)
        return next((step for step in steps if totp is not None and totp.generate_otp(step) == call.guess), None)

    def sets(self, subject: str) -> list[Call]:
        """The requests that made recovery codes, in order."""
        made = [call for call in self.calls_of[subject] if call.kind == "factor codes" and call.good]
        return sorted(made, key=lambda call: call.ended)

    @cached_property
    def failed(self) -> Groups[float]:
        """The times of wrong codes on record, by the subject's `sub`."""
        events = [e for e in self._case.evidence.events if e.type == "factor.check_failed" and "purpose" in e.detail]
        by_sub = group_by(events, lambda event: str(event.detail["sub"]))
        return Groups((sub, sorted(event.at for event in found)) for sub, found in by_sub.items())

    @cached_property
    def _subs(self) -> Mapping[str, str]:
        events = [event for event in self._case.evidence.events if "factor_id" in event.detail]
        return {str(event.detail["factor_id"]): str(event.detail["sub"]) for event in events}

    def sub(self, subject: str) -> str:
        """What the record calls the subject; empty if none of its factors is there."""
        named = (self._subs.get(str(call.body.get("factor_id", ""))) for call in self.calls_of[subject])
        return next(filter(None, named), "")


def false_factor_approval(case: Case) -> Iterator[Breach]:
    """Only what an app of the person shows about now, or a recovery code of the person's latest set, is approved."""
    factors = Factors(case)
    for subject in factors.calls_of:
        for call in factors.approvals(subject):
            if call.body["kind"] == "totp":
                if factors.step(call) is None:
                    yield Breach(FALSE, subject, "a code was approved that no app of the person shows")
            elif call.body["kind"] == "recovery_code" and (words := _wrong_set(factors.sets(subject), call)):
                yield Breach(FALSE, subject, words)


def _wrong_set(sets: list[Call], call: Call) -> str:
    own = [index for index, made in enumerate(sets) if call.guess in made.body["codes"]]
    if not own:
        return "a recovery code was approved that the person was never given"
    replaced = any(made.ended < call.began for made in sets[own[0] + 1 :])
    return "a recovery code was approved after it was replaced" if replaced else ""


def factor_used_twice(case: Case) -> Iterator[Breach]:
    """A time step and a recovery code are approved once, a step only after the last one; the confirming one never."""
    factors = Factors(case)
    for subject, calls in factors.calls_of.items():
        approvals = factors.approvals(subject)
        for found in group_by(approvals, _use).values():
            if len(found) > 1:
                yield Breach(DOUBLE, subject, f"a code of {_factor(found[0])} was approved {len(found)} times")
        confirmed = {(call.factor_id, call.guess) for call in calls if call.kind == "factor confirm" and call.good}
        for call in approvals:
            if (call.body["factor_id"], call.guess) in confirmed:
                yield Breach(DOUBLE, subject, "the code that confirmed an app was approved")
        by_app = group_by((call for call in approvals if call.body["kind"] == "totp"), _factor)
        for steps in ([factors.step(call) for call in found] for found in by_app.values()):
            for one, other in pairwise(step for step in steps if step is not None):
                if other < one:
                    yield Breach(DOUBLE, subject, "a step was approved after a later one")


def _factor(call: Call) -> str:
    return str(call.body["factor_id"])


def _use(call: Call) -> str:
    return f"{_factor(call)} {call.guess}"


def factor_guesses_over_budget(case: Case) -> Iterator[Breach]:
    """Between two approvals of a person five wrong codes are judged, over all factors, and one more after each wait."""
    factors = Factors(case)
    for subject, calls in factors.calls_of.items():
        answered = sorted(call.ended for call in calls if call.kind in CHECKS and call.code == "code_incorrect")
        for times in (answered, factors.failed[factors.sub(subject)]):
            for row in _rows(times, factors.approvals(subject)):
                allowed = FREE + bisect_right(WAITS_S, row[-1] - row[0] + CLOCK_S)
                if len(row) > allowed:
                    yield Breach(BUDGET, subject, f"{len(row)} wrong codes in a row were judged, {allowed} are allowed")


def _rows(times: list[float], approvals: list[Call]) -> Iterator[list[float]]:
    """The times between approvals. What was answered while one was judged belongs to neither row."""
    edges = [(-math.inf, -math.inf), *((call.began, call.ended) for call in approvals), (math.inf, math.inf)]
    for (_, before), (after, _) in pairwise(edges):
        if row := [at for at in times if before <= at <= after]:
            yield row


def factor_gap(case: Case) -> Iterator[Breach]:
    """Each approval by a factor is on record."""
    factors = Factors(case)
    events = [event for event in case.evidence.events if event.type == "factor.approved"]
    recorded = group_by(events, lambda event: str(event.detail.get("factor_id")))
    for subject in factors.calls_of:
        for name, found in group_by(factors.approvals(subject), _factor).items():
            if len(recorded[name]) < len(found):
                yield Breach(GAP, subject, f"{len(found)} approvals of {name}, {len(recorded[name])} on record")
            for call in found:
                if not any(abs(event.at - moment(str(call.body["approved_at"]))) < CLOCK_S for event in recorded[name]):
                    yield Breach(GAP, subject, f"no event of {name} at {call.body['approved_at']}")


def right_factor_code_refused(case: Case) -> Iterator[Breach]:
    """A recovery code of the latest set is never called wrong."""
    factors = Factors(case)
    for subject, calls in factors.calls_of.items():
        asked = [call for call in calls if call.kind == "factor codes"]
        for call in calls:
            if call.kind not in CHECKS or call.code != "code_incorrect":
                continue
            before = [made for made in asked if made.began < call.ended]
            latest = before[-1] if before else None
            if latest is None or not latest.good or call.guess not in latest.body["codes"]:
                continue
            if not case.during(STORE_FAULTS, latest.began, call.ended):
                yield Breach(REFUSED, subject, "a recovery code of the latest set was called wrong")
