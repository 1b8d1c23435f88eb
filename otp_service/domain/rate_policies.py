"""The limits of a start as a caller is told of them: a quota in a window, by a name that holds no number.

Names are those of the configuration with the window in seconds behind them, as in `starts_per_number/3600`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .policy import App, Limit, NumberLimits

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


def rate_policies(app: App, everywhere: NumberLimits) -> tuple[RatePolicy, ...]:
    """Every limit that a start of this app can meet."""
    return tuple(_policies(app, everywhere))


def _policies(app: App, everywhere: NumberLimits) -> Iterator[RatePolicy]:
    if app.resend_after_ms:
        yield RatePolicy("resend_after", len(app.resend_after_ms) + 1, LADDER_WINDOW_S)
    named: dict[str, Sequence[Limit]] = {
        "wrong_codes_per_number": app.wrong_codes_per_number,
        "service.wrong_codes_per_number": everywhere.wrong_codes,
        "service.sends_per_number": everywhere.sends,
        "starts_per_number": app.starts_per_number,
        "starts_per_client_ip": app.starts_per_client_ip,
        "starts_per_app": app.starts_per_app,
    }
    for name, limits in named.items():
        for one in limits:
            yield RatePolicy(name, one.limit, -(-one.per_ms // 1000))


def refusing(policies: Sequence[RatePolicy], limit: str, wait_s: int) -> RatePolicy | None:
    """The policy that refuses, of a limit that may have several windows: the shortest that such a wait fits in."""
    found = [one for one in policies if one.limit in limit.split(" or ") and one.window_s >= wait_s]
    return min(found, key=lambda one: one.window_s, default=None)
