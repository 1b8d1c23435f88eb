"""The limits of a start as a caller is told of them: a quota in a window, by a name that holds no number.

Names are those of the configuration with the window in seconds behind them, as in `starts_per_number/3600`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .limits import shorthand
from .policy import App, LimitEvent, NamedLimit, Policy

LADDER_WINDOW_S = 3_600


class RatePolicy(NamedTuple):
    """At most `quota` in any window of so many seconds. `limit` is the name in the configuration."""

    limit: str
    quota: int
    window_s: int

    @property
    def name(self) -> str:
        """Unique among the policies of an app."""
        return f"{self.limit}/{self.window_s}"


def rate_policies(policy: Policy, app: App) -> tuple[RatePolicy, ...]:
    """Every limit that a start of this app can meet."""
    return tuple(_policies(policy, app))


def _policies(policy: Policy, app: App) -> Iterator[RatePolicy]:
    if app.resend_after_ms:
        yield RatePolicy("resend_after", len(app.resend_after_ms) + 1, LADDER_WINDOW_S)
    for named in (*shorthand(app, policy.per_number), *(one for one in policy.limits if _is_met(one, app))):
        for rule in named.rules:
            yield RatePolicy(named.name, rule.limit, -(-rule.per_ms // 1000))


def _is_met(limit: NamedLimit, app: App) -> bool:
    """Whether starts can meet an entry of the list. Those of wrong codes refuse checks alone, unlike an app's own."""
    return limit.is_for(app.name) and not limit.is_monitored and limit.event is not LimitEvent.WRONG_CODE


def refusing(policies: Sequence[RatePolicy], limit: str, wait_s: int) -> RatePolicy | None:
    """The policy that refuses, of a limit that may have several windows: the shortest that such a wait fits in."""
    found = [one for one in policies if one.limit == limit and one.window_s >= wait_s]
    return min(found, key=lambda one: one.window_s, default=None)
