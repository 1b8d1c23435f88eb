"""Whether the pumping guard's budgets of countries refuse yet, for each app."""

from collections.abc import Iterator

from ..domain.errors import StoreUnavailable
from ..domain.policy import Policy
from ..storage.guard_states import GuardStates
from ..usecases.guard.progress import told
from .result import CheckResult


def check_guard(policy: Policy, states: GuardStates) -> Iterator[CheckResult]:
    """One line for each app. None of them is wrong: every mode is a choice."""
    for name, app in policy.apps.items():
        try:
            one = states.progress(name, app.guard)
        except StoreUnavailable as error:
            yield CheckResult(f"guard of {name}", False, error.detail)
            continue
        line = told(app.guard, started_ms=one.started_ms, approvals=one.approvals, only_reports=one.only_reports)
        yield CheckResult(f"guard of {name}", True, line)
