"""Which senders may carry a message, in which order. Whether the person opted out is asked in the store's scripts."""

from .delivery import Action, Refused
from .phone import Phone
from .policy import App, Channel, Sender, SenderKind

_NO_ALPHANUMERIC = frozenset({"US", "CA", "PR"})


def serves(sender: Sender, channel: Channel, region: str | None) -> bool:
    """Whether the sender can reach this channel and country. Alphanumeric senders never reach US, CA and PR."""
    if sender.channel is not channel:
        return False
    return not (sender.kind is SenderKind.ALPHANUMERIC and region in _NO_ALPHANUMERIC)


def candidates(app: App, channel: Channel, phone: Phone) -> tuple[Sender, ...]:
    """The senders of the app's route that can serve the channel for this number, in the operator's order."""
    return tuple(sender for sender in app.route if serves(sender, channel, phone.region))


UNSERVED_REGIONS = frozenset({None, "001"})
"""Satellite, premium and shared-cost numbering that belongs to no country: never a person's phone."""


def destination_blocked(phone: Phone) -> bool:
    """Whether the number lies in a range that no country owns (+881, +882, +883, +979 …)."""
    return phone.region in UNSERVED_REGIONS


def may_try_next(refusal: Refused) -> bool:
    """Whether another sender of the route may get through after this refusal or failed delivery."""
    if refusal.opted_out:
        return True  # on another profile; the store skips every sender of the blocked one
    return refusal.action in (Action.NEXT_SENDER, Action.STOP_SENDER, Action.RETRY)
