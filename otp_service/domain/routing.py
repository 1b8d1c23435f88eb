"""Which senders may carry a message, in which order. Whether the person opted out is asked in the store's scripts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from .numbering import AREA_CODES, NORTH_AMERICA
from .phone import Phone
from .policy import App, Channel, Sender, SenderKind, Strategy

_NO_ALPHANUMERIC = frozenset({"US", "CA", "PR"})
_NORTH_AMERICANS = frozenset(AREA_CODES.values())


def serves(sender: Sender, channel: Channel, region: str | None) -> bool:
    """Whether the sender can reach this channel and country. Alphanumeric senders never reach US, CA and PR."""
    if sender.channel is not channel:
        return False
    return not (sender.kind is SenderKind.ALPHANUMERIC and region in _NO_ALPHANUMERIC)


def candidates(app: App, channel: Channel, phone: Phone) -> tuple[Sender, ...]:
    """The senders of the app's route that can serve the channel for this number, in the operator's order."""
    return tuple(sender for sender in app.route if serves(sender, channel, phone.region))


def of_channel(app: App, channel: Channel) -> tuple[Sender, ...]:
    """The senders of the app's route that serve the channel anywhere."""
    return tuple(sender for sender in app.route if sender.channel is channel)


def other_channel_senders(app: App, channel: Channel, phone: Phone) -> tuple[Sender, ...]:
    """The route's senders of the other channels: they bring the same code when none of the channel's own could."""
    if all(sender.channel is channel for sender in app.route):
        return ()
    others = (other for other in Channel if other is not channel)
    return tuple(sender for other in others for sender in candidates(app, other, phone))


@dataclass(frozen=True, slots=True)
class Health:
    """How a sender fares: our deliveries of the last hour, the carrier's ratios (0 to 1, None if it gives none)."""

    delivered: int = 0
    failed: int = 0
    success_ratio: float | None = None
    spam_ratio: float | None = None

    @property
    def grade(self) -> int:
        """0 to 20, in steps that chance alone does not make: with few deliveries a sender counts as good."""
        own = (self.delivered + 10) / (self.delivered + self.failed + 10)
        success = 1.0 if self.success_ratio is None else self.success_ratio
        return round(20 * own * success * (1 - (self.spam_ratio or 0.0)))


def ordered(
    senders: Sequence[Sender], strategy: Strategy, health: Mapping[str, Health], out_of_order: Collection[str]
) -> tuple[Sender, ...]:
    """The route as it is tried now: those `out_of_order` last, the healthier first if the operator wants that.

    The operator's order decides between equals. Nobody is left out: a breaker that is open now may be closed when the
    others have failed.
    """
    if strategy is Strategy.IN_ORDER and not out_of_order:
        return tuple(senders)

    def rank(sender: Sender) -> tuple[bool, int]:
        grade = health[sender.name].grade if strategy is Strategy.HEALTHIEST and sender.name in health else 0
        return sender.name in out_of_order, -grade

    return tuple(sorted(senders, key=rank))


def refused_destination(app: App, phone: Phone) -> str | None:
    """Why the app sends nothing to this number, as the code of the refusal: by its country first, then by its kind.

    Of a number of no country the kind comes first, and then: what all of North America shares (toll-free, premium
    rate, ...) passes with any country of that plan, what the whole earth shares (satellites, ...) with `*` alone.
    """
    taken = app.takes(phone.kind)
    if not _country_allowed(app, phone) and (phone.region is not None or taken):
        return "country_not_allowed"
    return None if taken else "destination_blocked"


def _country_allowed(app: App, phone: Phone) -> bool:
    if app.may_send_to(phone.region):
        return True
    shared = phone.region is None and phone.country_code == NORTH_AMERICA
    return shared and not _NORTH_AMERICANS.isdisjoint(app.countries)
