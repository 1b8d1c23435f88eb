"""How many parts the texts of each app take, and what they cost."""

from collections.abc import Iterator

from ..domain.policy import Policy
from ..domain.prices import Prices
from ..domain.text_sizes import text_sizes, told_prices
from .result import CheckResult


def check_texts(policy: Policy, prices: Prices) -> Iterator[CheckResult]:
    """One line for each app that sends SMS."""
    for name, app in policy.apps.items():
        sizes = text_sizes(app)
        if sizes is not None:
            costs = told_prices(app, sizes, prices)
            yield CheckResult(f"texts of {name}", True, f"{sizes.told}; {costs}" if costs else sizes.told)
