"""From the evidence alone to figures and breaches: a pure function with its own tests.

Each rule is one function that lists its breaches, and its docstring is the promise. A missing response (or a 5xx)
proves nothing: what the service shows afterwards decides.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import (
    answer_rules,
    audit_rules,
    binding_rules,
    callback_rules,
    checking_rules,
    factor_rules,
    figures,
    other_rules,
    person_rules,
    right_code_rules,
    sending_rules,
)
from .breaches import Breach
from .case import Case
from .evidence import Evidence
from .figures import Recovery

RULES: Sequence[Callable[[Case], Iterable[Breach]]] = (
    sending_rules.lost,
    sending_rules.stuck,
    sending_rules.duplicate,
    checking_rules.false_approval,
    checking_rules.double_approval,
    checking_rules.over_budget,
    audit_rules.audit_gap,
    audit_rules.second_judge,
    right_code_rules.right_code_refused,
    sending_rules.untrue_status,
    sending_rules.late_send,
    sending_rules.changed_bytes,
    sending_rules.pending_twice,
    other_rules.unexpected_response,
    other_rules.left_in_the_store,
    person_rules.optout_ignored,
    person_rules.false_optout,
    person_rules.denial_ignored,
    person_rules.spent_budget_ignored,
    binding_rules.context_ignored,
    binding_rules.wrong_verification,
    binding_rules.foreign_app,
    binding_rules.forged_webhook,
    factor_rules.false_factor_approval,
    factor_rules.factor_used_twice,
    factor_rules.factor_guesses_over_budget,
    factor_rules.factor_gap,
    factor_rules.right_factor_code_refused,
    callback_rules.callback_lost,
    callback_rules.callback_changed,
    answer_rules.no_response,
    answer_rules.slow_response,
    answer_rules.refused_without_cause,
    answer_rules.other_shards_refused,
    answer_rules.other_numbers_refused,
    other_rules.accident,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the report shows. Waits are sorted seconds."""

    figures: Mapping[str, int]
    reasons: Mapping[str, int]
    causes: Mapping[str, int]
    responses: Mapping[str, int]
    breaches: Sequence[Breach]
    recovery: Sequence[Recovery]
    to_carrier_s: Sequence[float]
    to_phone_s: Sequence[float]
    refused_s: Sequence[float]
    healthz_s: Sequence[float]

    def count(self, kind: str) -> int:
        """How many breaches of a kind."""
        return sum(breach.kind == kind for breach in self.breaches)


def judge(evidence: Evidence) -> Verdict:
    """Apply every rule, and count."""
    case = Case(evidence)
    return Verdict(
        figures=figures.counts(case),
        reasons=figures.reasons(case),
        causes=figures.causes(case),
        responses=figures.responses(case),
        breaches=[breach for rule in RULES for breach in rule(case)],
        recovery=figures.recovery(case),
        to_carrier_s=sorted(figures.waits_for_carrier(case)),
        to_phone_s=sorted(figures.waits_for_phone(case)),
        refused_s=sorted(figures.waits_for_refusal(case)),
        healthz_s=sorted(figures.waits_for_healthz(case)),
    )
