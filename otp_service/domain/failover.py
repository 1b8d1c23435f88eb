"""Failover: when the code of one sender goes to the next sender of the route.

A second SMS is sent only if the first sender failed, still queues the message after `sent_within`, or never answered;
never if the first was delivered. So there are four occasions, each claimed by one script in the store:

* the carrier refused the message, or a delivery report says that it failed: `blamed` decides;
* a timer finds that the message was not sent in time: `usecases.delivery_timers`, `ports.DueDeliveries.claim_failover`;
* a breaker holds the sender, and another sender is better: `usecases.deliver`, `better_than`;
* no worker could send it in time: `ports.Deliveries.return_to_queue`.
"""

from collections.abc import Mapping
from enum import StrEnum

from .delivery import Action, Refused
from .findings import AT_ONCE


class Blamed(StrEnum):
    """What a refusal blames: the next sender of the route must differ in it."""

    NOBODY_HELPS = ""
    SENDER = "sender"
    PROFILE = "profile"
    CHANNEL = "channel"


_BY_CODE: Mapping[str, Blamed] = {
    "40309": Blamed.PROFILE,  # the profile's list of countries
    "40001": Blamed.CHANNEL,  # a landline, or no SMS
}
"""Refusals that hold for a person only as far as one profile or one channel goes."""


def blamed(refusal: Refused | None) -> Blamed:
    """What another sender must differ in to get through after this refusal, or a failed delivery without a code."""
    if refusal is None or refusal.opted_out:
        return Blamed.SENDER  # after an opt-out the store skips every sender of the blocked profile
    if refusal.action is Action.STOP_ALL:
        # One odd answer is not believed of the whole account.
        return Blamed.NOBODY_HELPS if refusal.code in AT_ONCE else Blamed.SENDER
    if refusal.action is Action.STOP_PERSON:
        return _BY_CODE.get(refusal.code, Blamed.NOBODY_HELPS)
    return Blamed.SENDER


def better_than(own_ms: int | None, held_ms: Mapping[str, int | None]) -> tuple[str, ...]:
    """Those senders that are better than one whose hold ends at `own_ms`: not held, or not for so long.

    `held_ms` is by sender, when its hold ends as `circuit.held_until` says: 0 for none, None where nobody answers. A
    sender that nobody answers from is never better, and no better one is sought for it.
    """
    if own_ms is None:
        return ()
    return tuple(name for name, until_ms in held_ms.items() if until_ms is not None and until_ms < own_ms)
