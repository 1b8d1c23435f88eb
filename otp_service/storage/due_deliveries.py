"""What a timer does to its delivery: back into the outbox, a poll, a failover, its closing."""

from collections.abc import Iterable

from ..domain.admission import OuterAnswer
from ..domain.guarding import Converted
from ..domain.outbox import Timer
from ..domain.policy import Sender
from .arguments import read_slots, read_spend, route_text
from .guard_arguments import converted_of
from .schema import Keys
from .scripts import Scripts

POLL_WAITS_MS = (10_000, 20_000, 40_000, 80_000, 160_000)
LAST_POLL_MS = 10_000
"""After the code's end there is one more poll."""

UNDER_WAY_MS = 10_000
"""A request to the carrier has an answer by then, or none."""

REPORT_WAIT_MS = 3_000
"""How long a failover waits for the report that it polled for."""


class DueDeliveries:
    """The deliveries of one store whose timers have come. Methods raise StoreUnavailable.

    `senders` are all that this process knows.
    """

    def __init__(self, scripts: Scripts, keys: Keys, senders: Iterable[Sender]) -> None:
        self._senders = route_text(senders)
        self._scripts = scripts
        self._keys = keys

    def requeue(self, due: Timer) -> bool:
        """Put a delivery back whose wait is over; False if somebody else did."""
        k, ref = self._keys, due.reference
        keys = {"timers": k.timers(due.shard), "record": k.record(ref), "outbox": k.outbox(due.shard)}
        delivery = ref.delivery_id(due.ordinal)
        return bool(self._scripts.call("delivery/requeue", keys, delivery=delivery, ordinal=due.ordinal))

    def claim_slots(self, due: Timer) -> list[OuterAnswer]:
        """What the delivery's send has taken in limits and of the day's spending, if it is ours to give back."""
        keys = {"timers": self._keys.timers(due.shard), "record": self._keys.record(due.reference)}
        delivery = due.reference.delivery_id(due.ordinal)
        # Claimed twice after a lost reply they would be lost, as after a crash.
        reply = self._scripts.call("delivery/claim_slots", keys, delivery=delivery, ordinal=due.ordinal)
        slots, app, spent = map(str, reply)
        return [*read_slots(slots), *read_spend(app, spent)]

    def claim_guarded(self, due: Timer) -> Converted | None:
        """What the pumping guard took for the delivery's send, if it is ours to give back."""
        ref = due.reference
        keys = {"record": self._keys.record(ref), "audit": self._keys.audit(due.shard)}
        # Claimed twice after a lost reply it would be lost, as after a crash.
        app, given = self._scripts.call(
            "delivery/claim_guarded", keys, ordinal=due.ordinal, token=ref.token, number_hash=ref.number_hash
        )
        return converted_of(str(app), str(given))

    def claim_poll(self, due: Timer) -> str | None:
        """The message to poll the carrier for, if it is ours to poll now."""
        keys = {"timers": self._keys.timers(due.shard), "record": self._keys.record(due.reference)}
        message_id = self._scripts.call(
            "delivery/claim_poll",
            keys,
            delivery=due.reference.delivery_id(due.ordinal),
            ordinal=due.ordinal,
            waits=",".join(str(wait) for wait in POLL_WAITS_MS),
            after_end_ms=LAST_POLL_MS,
        )
        return str(message_id) or None

    def claim_failover(self, due: Timer) -> str | None:
        """Queue a message that was not sent in time with the next sender.

        A message id: poll the carrier for it and apply the report; the timer comes again.
        """
        ref, k = due.reference, self._keys
        keys = {
            "record": k.record(ref),
            "outbox": k.outbox(due.shard),
            "audit": k.audit(due.shard),
            "timers": k.timers(due.shard),
            "optouts": k.optouts(ref.number_hash),
        }
        reply = self._scripts.call(
            "delivery/claim_failover",
            keys,
            token=ref.token,
            number_hash=ref.number_hash,
            ordinal=due.ordinal,
            senders=self._senders,
            under_way_ms=UNDER_WAY_MS,
            report_wait_ms=REPORT_WAIT_MS,
        )
        return str(reply[1]) if reply[0] == "poll" else None

    def close_delivery(self, due: Timer) -> str | None:
        """End a delivery for which no report is expected any more; the status it ended in."""
        ref, k = due.reference, self._keys
        keys = {
            "record": k.record(ref),
            "audit": k.audit(due.shard),
            "timers": k.timers(due.shard),
            "number": k.number(ref.number_hash),
        }
        status = self._scripts.call(
            "delivery/close_delivery", keys, token=ref.token, number_hash=ref.number_hash, ordinal=due.ordinal
        )
        return str(status) or None
