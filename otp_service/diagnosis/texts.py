"""How many parts the texts of each app take."""

from collections.abc import Iterator

from ..domain.policy import Policy
from ..domain.text_sizes import text_sizes
from .result import CheckResult


def check_texts(policy: Policy) -> Iterator[CheckResult]:
    """One line for each app that sends SMS."""
    for name, app in policy.apps.items():
        sizes = text_sizes(app)
        if sizes is not None:
            yield CheckResult(f"texts of {name}", True, sizes.told)
