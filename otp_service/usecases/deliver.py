"""Bringing one code to one phone: what a delivery worker does with one outbox entry.

The order is the safety. First the sender's rate and its breakers. Then the attempt is recorded; only then the carrier
is called; then its answer is recorded. A crash between any two leaves the entry to another worker, which sends the same
bytes under the same key. A request that cannot go out while its code lives is not sent at all.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from ..domain import message_text
from ..domain.backoff import Backoff
from ..domain.circuit import BreakerDecision
from ..domain.delivery import MARGIN_MS, NotSent
from ..domain.errors import KeyUnknown, SealBroken, StoreUnavailable
from ..domain.guarding import Converted
from ..domain.outbox import LONGEST_SLEEP_MS, Job, PendingDelivery, SendPermit
from ..domain.policy import App, Policy, Sender
from . import ports
from .delivery_timers import DeliveryTimers
from .held_deliveries import HeldDeliveries
from .record_send import JITTER, Attempt, RecordSend
from .seal_request import SealRequest
from .sender_health import SenderHealth
from .settle_costs import Settle, settle_nothing

_FOR_OTHERS = Backoff((1_500,), JITTER)
"""After this another worker may take what this one cannot send."""

_NO_KEY = "no running worker has the key that it was sealed with in its keyring"
_PAUSED = "The sender is given a pause: "
_log = logging.getLogger("otp.deliver")


class Deliver:
    """Sends outbox entries. Safe for many threads.

    `sleep` takes seconds, `monotonic` gives them, `random` gives [0, 1). `count` counts outcomes by sender. `left`
    counts, by reason, what is left to another worker: a key, sender or app that this process does not know is no
    verdict. `outer` takes and gives back what lies on other shards than the number's. `unsent` gives back what the
    pumping guard took for a send that no carrier accepted. `settle` counts what reports say
    that messages cost. `timers` runs what is due later, `held` knows what waits for a breaker; it may be shared.
    """

    def __init__(
        self,
        *,
        deliveries: ports.Deliveries,
        due: ports.DueDeliveries,
        rate: ports.SenderRate,
        reports: ports.DeliveryReports,
        store: ports.VerificationStore,
        carrier: ports.Carrier,
        vault: ports.Vault,
        policy: Policy,
        public_url: str,
        sleep: Callable[[float], object],
        monotonic: Callable[[], float],
        random: Callable[[], float],
        count: Callable[[str, str], None],
        left: Callable[[str], None] = lambda _: None,
        sender_health: SenderHealth,
        outer: ports.OuterStore,
        unsent: Callable[[Converted], object] = lambda _: None,
        settle: Settle = settle_nothing,
        held: HeldDeliveries | None = None,
    ) -> None:
        self._deliveries = deliveries
        self._rate = rate
        self._carrier = carrier
        self._policy = policy
        self._sleep = sleep
        self._monotonic = monotonic
        self._random = random
        self._count = count
        self._left = left
        self._outer = outer
        self._sender_health = sender_health
        self._composer = SealRequest(carrier=carrier, vault=vault, public_url=public_url)
        self._recorder = RecordSend(deliveries=deliveries, random=random)
        self.held = held or HeldDeliveries(sender_health, monotonic)
        self.timers = DeliveryTimers(
            due=due,
            reports=reports,
            store=store,
            carrier=carrier,
            ids=vault.ids,
            sender_health=sender_health,
            outer=outer,
            unsent=unsent,
            settle=settle,
        )

    def send(self, job: Job) -> None:
        """Work on one outbox entry until its outcome is recorded.

        Raises StoreUnavailable; the entry then stays for another attempt.
        """
        pending = self._deliveries.pending_delivery(job, rate_per_s=self._rate_per_s(job))
        if pending is None:
            _log.warning("a delivery has no record any more", extra={"delivery_id": job.delivery_id})
            self._end(job, "")
        elif pending.replaced or pending.expires_ms - pending.now_ms <= MARGIN_MS:
            # It ends as replaced or expired, whatever else stands in the way now.
            self._end(job, pending.app)
        else:
            self._send_pending(job, pending)

    def _rate_per_s(self, job: Job) -> float:
        """The rate of which a slot may be taken before the record is known; 0 if none may."""
        sender = self._policy.senders.get(job.sender)
        return sender.rate_per_s if sender is not None and self._sender_health.answers(sender) else 0.0

    def _end(self, job: Job, app: str) -> None:
        """Have the store end an entry of which nothing is to be sent: it checks the record, and gives no permit."""
        self._deliveries.begin_send(job, app, "", (), ())

    def _send_pending(self, job: Job, pending: PendingDelivery) -> None:
        app, sender = self._policy.apps.get(pending.app), self._policy.senders.get(pending.sender)
        if app is None or sender is None or not self._composer.has_key(pending):
            self._leave_to_others(job, pending, app, sender)
            return
        pause = None if pending.slot_ms is not None else self._sender_health.pause(sender)
        if pause is not None:
            # Before a slot of the rate is taken: else what only waits would use up the slots of what can go.
            self._hold(job, pending, sender, pause)
            return
        if not self._await_rate_slot(job, pending, sender):
            return
        decision = self._admit(job, pending, sender)
        if decision is not None:
            self._send_now(job, pending, app, sender, decision)

    # ---- what this process does not know ---------------------------------------------------------------------------

    def _leave_to_others(self, job: Job, pending: PendingDelivery, app: App | None, sender: Sender | None) -> None:
        if app is None:
            code, title = "app_unknown", f"no running worker has the app {pending.app} in its configuration"
        elif sender is None:
            code, title = "sender_unknown", f"no running worker has the sender {pending.sender} in its configuration"
        else:
            code, title = "key_unknown", _NO_KEY
        _log.warning("left to another worker", extra={"delivery_id": job.delivery_id, "reason": title})
        self._left(code)
        wait_ms = _FOR_OTHERS.wait_ms(1, self._random())
        self._deliveries.return_to_queue(job, title, wait_ms, may_fail_over=code == "sender_unknown")

    # ---- the sender's rate and breakers ----------------------------------------------------------------------------

    def _await_rate_slot(self, job: Job, pending: PendingDelivery, sender: Sender) -> bool:
        """Wait for the sender's rate; False if the entry comes again later, or ends, because of it."""
        wait_ms = pending.slot_ms
        if wait_ms is None:
            left_ms = max(pending.expires_ms - pending.now_ms, 0)
            again = pending.rate_limited
            wait_ms = self._rate.acquire_rate_slot(sender.name, sender.rate_per_s, left_ms, again=again)
        if wait_ms < 0:
            # The queue of this sender is longer than the code lives: another sender, or an honest failure.
            title = "The sender's rate leaves no room before the code expires."
            self._deliveries.record_impossible(job, "sender_busy", title)
        elif wait_ms > LONGEST_SLEEP_MS:
            self._deliveries.record_rate_wait(job, wait_ms)
        elif wait_ms:
            self._sleep(wait_ms / 1000)
        return 0 <= wait_ms <= LONGEST_SLEEP_MS

    def _admit(self, job: Job, pending: PendingDelivery, sender: Sender) -> BreakerDecision | None:
        """The decision of the sender's breakers if the message may go; None if the entry waits or fails over."""
        decision = self._sender_health.admit(sender)
        if not decision.passes and decision.is_hold:
            if self._pass_to_better_sender(job, pending, sender, decision):
                return None
            decision = self._sender_health.admit(sender, held_too=True)
        if decision.passes:
            return decision
        self._hold(job, pending, sender, decision)
        return None

    def _hold(self, job: Job, pending: PendingDelivery, sender: Sender, decision: BreakerDecision) -> None:
        # Failover not to a sender that is held: this one is asked again sooner.
        may_fail_over = bool(self._sender_health.not_held(pending.next_senders))
        title, wait_ms = _PAUSED + decision.title, decision.wait_ms
        reply = self._deliveries.record_held(job, decision.code, title, wait_ms, may_fail_over=may_fail_over)
        if reply == "waiting":
            self.held.add(job, sender, wait_ms)

    def _pass_to_better_sender(
        self, job: Job, pending: PendingDelivery, sender: Sender, decision: BreakerDecision
    ) -> bool:
        """Failover from a held sender to a better one of the route; False if there is none."""
        better = self._sender_health.better_than(sender, pending.next_senders)
        title = f"The carrier lets nothing through: {decision.title}."
        return bool(better) and self._deliveries.pass_to_next_sender(job, decision.code, title, better)

    # ---- the send --------------------------------------------------------------------------------------------------

    def _send_now(
        self, job: Job, pending: PendingDelivery, app: App, sender: Sender, decision: BreakerDecision
    ) -> None:
        try:
            self._attempt(job, pending, app, sender, decision)
        except message_text.TextTooLong as error:
            # The start measured it, with another brand or code length than this worker's configuration has.
            self._deliveries.record_impossible(job, "text_too_long", f"{error} The configuration has changed.")
        except KeyUnknown:
            # Another worker composed it meanwhile, with a newer key. The attempt is recorded, and nothing was sent.
            self._deliveries.record_retry(job, _FOR_OTHERS.wait_ms(1, self._random()), NotSent(_NO_KEY))
        except SealBroken:
            _log.exception("a sealed value cannot be opened", extra={"delivery_id": job.delivery_id})
            title = "The sealed message cannot be opened with the keys in the keyring."
            self._deliveries.record_impossible(job, "unreadable", title)

    def _attempt(self, job: Job, pending: PendingDelivery, app: App, sender: Sender, decision: BreakerDecision) -> None:
        made = self._composer.request(job, pending, app, sender)
        asked_s = self._monotonic()
        permit = self._begin(job, pending, app, made.sealed)
        if permit is not None:
            request = self._composer.open(permit.sealed_body, made)
            self._call_carrier(job, sender, permit, request, decision, ends_s=asked_s + permit.left_ms / 1000)

    def _begin(self, job: Job, pending: PendingDelivery, app: App, sealed: str) -> SendPermit | None:
        """The permit. What its message may cost is taken before, where no start has taken it, as after a failover."""
        wrong, everywhere = app.wrong_codes_per_number, self._policy.per_number.wrong_codes
        if pending.untaken is None or app.spend_limit is None:
            return self._deliveries.begin_send(job, app.name, sealed, wrong, everywhere)
        taken = self._outer.take([replace(pending.untaken, most=app.spend_limit)])
        # What may have been written, though no answer came, keeps its price.
        is_unused = False
        try:
            permit = self._deliveries.begin_send(job, app.name, sealed, wrong, everywhere, spend=taken[0])
            is_unused = permit is None
            return permit
        except StoreUnavailable as error:
            is_unused = error.nothing_written
            raise
        finally:
            if is_unused:
                self._outer.give_back(taken)

    def _call_carrier(
        self, job: Job, sender: Sender, permit: SendPermit, request: bytes, decision: BreakerDecision, *, ends_s: float
    ) -> None:
        within_s = ends_s - self._monotonic()
        outcome = self._carrier.send(request, idempotency_key=job.delivery_id, within_s=within_s)
        self._count(sender.name, type(outcome).__name__.lower())
        self._recorder.record(Attempt(job, sender.name, permit.attempt), outcome)
        self._sender_health.record_outcome(sender, outcome, decision, job.reference.number_hash)
