"""What apps with a daily spend limit have spent today."""

from collections.abc import Iterator

from ..domain.errors import StoreUnavailable
from ..domain.policy import Policy
from ..domain.spending import amount
from ..storage.spend import SpendTable
from .result import CheckResult


def check_spending(policy: Policy, currency: str, table: SpendTable) -> Iterator[CheckResult]:
    """One line for each such app. It fails on a day on which the limit refused messages."""
    for name, app in policy.apps.items():
        if app.spend_limit is None:
            continue
        try:
            state = table.read(name)
        except StoreUnavailable as error:
            yield CheckResult(f"spending of {name}", False, error.detail)
            continue
        refused = state.refused.get(state.today, 0)
        line = f"{amount(state.spent_today)} of {amount(app.spend_limit)} {currency} today"
        if refused:
            line += f"; refused messages: {refused}; some need more than is left"
        yield CheckResult(f"spending of {name}", not refused, line)
