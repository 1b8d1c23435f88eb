"""The headers `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): Structured Fields, RFC 9651.

There is no partition key (`pk`): it would name the number or the end user.
"""

from ..domain.policy import App, Policy
from ..domain.rate_policies import rate_policies, refusing


def policy_header(policy: Policy, app: App) -> str:
    """Every policy of a start: `"starts_per_number/3600";q=50;w=3600, …`."""
    return ", ".join(f'"{one.name}";q={one.quota};w={one.window_s}' for one in rate_policies(policy, app))


def refusal_header(policy: Policy, app: App, limit: str, wait_s: int) -> str | None:
    """The policy that refuses: nothing remains (`r`), and in so many seconds (`t`) it lets one more through."""
    found = refusing(rate_policies(policy, app), limit, wait_s)
    return None if found is None else f'"{found.name}";r=0;t={wait_s}'
