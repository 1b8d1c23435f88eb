"""The headers `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): Structured Fields, RFC 9651.

There is no partition key (`pk`): it would name the number or the end user.
"""

from ..domain.policy import App, NumberLimits
from ..domain.rate_policies import rate_policies, refusing


def policy_header(app: App, everywhere: NumberLimits) -> str:
    """Every policy of a start: `"starts_per_number/3600";q=50;w=3600, …`."""
    return ", ".join(f'"{one.name}";q={one.quota};w={one.window_s}' for one in rate_policies(app, everywhere))


def refusal_header(app: App, everywhere: NumberLimits, limit: str, wait_s: int) -> str | None:
    """The policy that refuses: nothing remains (`r`), and in so many seconds (`t`) it lets one more through."""
    policy = refusing(rate_policies(app, everywhere), limit, wait_s)
    return None if policy is None else f'"{policy.name}";r=0;t={wait_s}'
