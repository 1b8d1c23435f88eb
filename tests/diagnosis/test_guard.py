"""What `doctor` says of the pumping guard of each app."""

import pytest

from otp_service.domain.guard.policy import GuardPolicy, Mode
from otp_service.usecases.guard.progress import told

STARTED_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("started_ms", "only_reports", "policy", "line"),
    [
        (0, True, GuardPolicy(), "will only monitor for 14 days, or until 500 approvals"),
        (STARTED_MS, True, GuardPolicy(), "only monitor until 2023-11-28T22:13:20Z, or until 500 approvals (7 so far)"),
        (STARTED_MS, False, GuardPolicy(), "refuse, after 7 approvals"),
        (STARTED_MS, True, GuardPolicy(mode=Mode.MONITOR), "mode monitor: refuses nobody"),
        (0, True, GuardPolicy(mode=Mode.OFF, countries={"US": Mode.ENFORCE}), "nobody but in the countries listed"),
    ],
)
def test_whether_budgets_of_countries_refuse_yet(
    started_ms: int, only_reports: bool, policy: GuardPolicy, line: str
) -> None:
    """And until when they only monitor."""
    assert line in told(policy, started_ms=started_ms, approvals=7, only_reports=only_reports)
