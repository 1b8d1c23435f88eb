"""The rules of verifications and limits in plain Python, for the state machine: nothing of scripts or keys."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from otp_service.domain.delivery import Action, Refused
from otp_service.domain.policy import App, Limit, NumberLimits
from otp_service.domain.verification import Status

from .harness import SHOP

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
APP = replace(
    SHOP,
    wrong_codes_per_number=(Limit(5, DAY_MS),),
    resend_after_ms=(30_000, 60_000),
    starts_per_number=(),
    max_checks=3,
)
SECOND = replace(APP, name="bank", resend_after_ms=(10_000,))
APPS = {app.name: app for app in (APP, SECOND)}
LIMITS = NumberLimits(sends=(Limit(4, 300_000), Limit(9, 7_200_000)), wrong_codes=(Limit(4, 600_000), Limit(7, DAY_MS)))
WORDS = ("queued", "sending", "sent", "delivered", "delivery_failed", "delivery_unconfirmed")
NEXT = Refused("40002", "Spam", Action.NEXT_SENDER)
STOP = Refused("10009", "Auth", Action.STOP_ALL)
HOWS = ("accepted", "next", "next", "stop", "retry", "unknown", "gone", "crash")
CONTEXTS = (None, {"amount": "10"})


@dataclass
class Model:
    """One verification as the rules have it."""

    app: App
    purpose: str
    code: str
    context: dict[str, str] | None
    created_ms: int
    expires_ms: int
    clock: Callable[[], int]
    status: Status = Status.PENDING
    attempts: int = 0
    receipt: str | None = None
    spent: bool = False
    sends: int = 1
    seen_rank: dict[int, int] = field(default_factory=dict)
    claimed: set[int] = field(default_factory=set)
    send_of: dict[int, "Send"] = field(default_factory=dict)
    accepted: set[int] = field(default_factory=set)
    lost_tries: dict[int, int] = field(default_factory=dict)

    def usable_at(self, now: int) -> bool:
        """Whether a guess can be judged at that time."""
        return self.status is Status.PENDING and now < self.expires_ms

    @property
    def usable(self) -> bool:
        """Whether a guess can still be judged."""
        return self.usable_at(self.clock())

    @property
    def seen_as(self) -> Status:
        """What a caller sees."""
        late = self.status is Status.PENDING and not self.usable
        return Status.EXPIRED if late else self.status


@dataclass(eq=False)
class Send:
    """One send to the number, its failovers included."""

    at_ms: int
    app: str
    purpose: str
    number: int
    on_ladder: bool = True


def window_wait(times: Sequence[int], limits: Sequence[Limit], now: int) -> int:
    """How long the sliding windows refuse: 0 if they do not."""
    newest = sorted(times, reverse=True)
    waits = [newest[rule.limit - 1] + rule.per_ms - now for rule in limits if len(newest) >= rule.limit]
    return max([0, *waits])


def caps_wait(sends: Sequence[Send], now: int) -> int:
    """How long the caps refuse: 0 if they do not. Only the longest window counts what an approval followed."""
    longest = max(rule.per_ms for rule in LIMITS.sends)
    counted = {
        rule: [send.at_ms for send in sends if send.on_ladder or rule.per_ms == longest] for rule in LIMITS.sends
    }
    return max(window_wait(times, [rule], now) for rule, times in counted.items())


def ladder_wait(times: Sequence[int], waits: Sequence[int], now: int) -> int:
    """How long the ladder refuses: 0 if it does not."""

    def blocked(at: int) -> bool:
        young = [time for time in times if time + HOUR_MS > at]
        return bool(young) and at < max(young) + waits[min(len(young), len(waits)) - 1]

    moments = {now, *(time + HOUR_MS for time in times), *(time + wait for time in times for wait in waits)}
    return min(at for at in moments if at >= now and not blocked(at)) - now
