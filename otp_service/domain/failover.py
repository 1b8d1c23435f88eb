"""Failover: when the code of one sender goes to the next sender of the route.

A second SMS is sent only if the first sender failed, still queues the message after `sent_within`, or never answered;
never if the first was delivered. So there are four occasions, each claimed by one script in the store:

* the carrier refused the message, or a delivery report says that it failed: `may_fail_over` decides;
* a timer finds that the message was not sent in time: `usecases.delivery_timers`, `ports.DueDeliveries.claim_failover`;
* a breaker holds the sender, and another sender is better: `usecases.deliver`, `better_than`;
* no worker could send it in time: `ports.Deliveries.return_to_queue`.
"""

from collections.abc import Mapping

from .delivery import Action, Refused
from .findings import AT_ONCE


def may_fail_over(refusal: Refused) -> bool:
    """Whether another sender of the route may get through after this refusal or failed delivery."""
    if refusal.opted_out:
        return True  # on another profile; the store skips every sender of the blocked one
    if refusal.action is Action.STOP_ALL:
        return refusal.code not in AT_ONCE  # one odd answer is not believed of the whole account
    return refusal.action is not Action.STOP_PERSON


def better_than(own_ms: int | None, held_ms: Mapping[str, int | None]) -> tuple[str, ...]:
    """Those senders that are better than one whose hold ends at `own_ms`: not held, or not for so long.

    `held_ms` is by sender, when its hold ends as `circuit.held_until` says: 0 for none, None where nobody answers. A
    sender that nobody answers from is never better, and no better one is sought for it.
    """
    if own_ms is None:
        return ()
    return tuple(name for name, until_ms in held_ms.items() if until_ms is not None and until_ms < own_ms)
