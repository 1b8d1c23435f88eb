"""Whether the guard's budgets of countries refuse yet, in words for operators."""

from ...clock import rfc3339
from ...domain.guard.policy import DAY_MS, GuardPolicy, Mode


def told(policy: GuardPolicy, *, started_ms: int, approvals: int, only_reports: bool) -> str:
    """What an app's budgets of countries do now, and until when. `started_ms`: of its first start, 0 for none yet."""
    if policy.mode is not Mode.ENFORCE:
        return f"mode {policy.mode}: refuses nobody" + (" but in the countries listed" if policy.countries else "")
    most = policy.monitor_approvals
    if not only_reports:
        return f"budgets of countries refuse, after {approvals} approvals"
    if not started_ms:
        days = policy.monitor_ms / DAY_MS
        return f"budgets of countries will only monitor for {days:g} days, or until {most} approvals"
    until = rfc3339(started_ms + policy.monitor_ms, "seconds")
    return f"budgets of countries only monitor until {until}, or until {most} approvals ({approvals} so far)"
