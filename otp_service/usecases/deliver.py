"""Bringing one code to one phone: what a worker does with an outbox entry.

The order is the safety: ask the sender's breakers, pace, write the try down, only then call the carrier, then write
down what it said. A crash between any two leaves the entry for another worker, which sends the same bytes under the
same key. A request that could not leave while its code lives does not leave at all.
"""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from ..domain import message
from ..domain.backoff import Backoff
from ..domain.circuit import BreakerDecision
from ..domain.delivery import MARGIN_MS, Accepted, Action, NotSent, Refused, Unknown
from ..domain.errors import KeyUnknown, SealBroken
from ..domain.operation import Job, PendingDelivery, SendPermit, Timer
from ..domain.policy import App, Channel, Policy, Sender
from . import ports
from .sender_health import SenderHealth

TURN_MS = 250
"""A wait for the sender's turn that a thread may sleep through; a longer one is spent in the store."""

LONGEST_SHORT_WAIT_MS = 5_000
SHORTEST_WAIT_MS = 500
"""Between two tries, whatever the carrier says: one that answers "at once" to everybody must not be asked in a loop."""

_JITTER = (0.75, 1.25)
_AFTER_NOT_SENT = Backoff((500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000), _JITTER)
_AFTER_UNKNOWN = Backoff((2_000, 3_000, 5_000, 10_000, 20_000, 40_000), _JITTER)
_FOR_OTHERS = Backoff((1_500,), _JITTER)
"""After this another worker may look at what this one could not send."""

_NO_KEY = "no worker at hand has the key that it was sealed with in its keyring"
_PAUSED = "The sender is given a pause: "
_TOLD_AS_ERRORS = (Action.BAD_REQUEST, Action.STOP_SENDER, Action.STOP_PROFILE, Action.STOP_ALL)
"""Refusals that somebody has to mend, be it only a text of ours. People are paged when a breaker opens by them."""

_log = logging.getLogger("otp.deliver")


class Deliver:
    """The worker's story. Safe for many threads.

    `sleep` takes seconds, `monotonic` gives them, `random` gives [0, 1). `left` counts what is left to another worker,
    by reason: a key, sender or app that this process does not know is no verdict.
    """

    def __init__(
        self,
        *,
        outbox: ports.OutboxPort,
        book: ports.DeliveryReports,
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
    ) -> None:
        self._outbox = outbox
        self._book = book
        self._store = store
        self._carrier = carrier
        self._vault = vault
        self._policy = policy
        self._public_url = public_url
        self._sleep = sleep
        self._monotonic = monotonic
        self._random = random
        self._count = count
        self._left = left
        self._sender_health = sender_health

    def send(self, job: Job) -> None:
        """Work one outbox entry to its end. Raises StoreUnavailable, and then the entry stays for another try."""
        draft = self._outbox.pending_delivery(job)
        if draft is None:
            # The record is gone; `begin` finds the same and settles the entry.
            _log.warning("a delivery has no record any more", extra={"delivery_id": _id(job)})
            self._outbox.begin_send(job, "", "", (), ())
            return
        if draft.expires_ms - draft.now_ms <= MARGIN_MS:
            # Whatever else stands in the way now: it ends as expired, with what stood in the way last.
            self._outbox.begin_send(job, draft.app, "", (), ())
            return
        app, sender = self._policy.apps.get(draft.app), self._policy.senders.get(draft.sender)
        if app is None or sender is None or not self._has_key(draft):
            self._hand_back(job, draft, app, sender)
            return
        if not self._await_turn(job, draft, sender):
            return
        decision = self._sender_health.decision(sender)
        if not decision.passes and decision.lasting:
            if self._hand_on(job, draft, sender, decision):
                return
            decision = self._sender_health.decision(sender, held_too=True)
        if not decision.passes:
            # Not to a sender that is held: this one is asked again sooner.
            may_fail_over = bool(self._sender_health.unheld(draft.rest))
            self._outbox.record_held(
                job, decision.code, _PAUSED + decision.title, decision.wait_ms, may_fail_over=may_fail_over
            )
            return
        try:
            body = "" if draft.has_body else self._compose(job, draft, app, sender)
            asked_at = self._monotonic()
            everywhere = self._policy.per_number.wrong_codes
            go = self._outbox.begin_send(job, app.name, body, app.wrong_codes_per_number, everywhere)
            if go is not None:
                self._call(job, sender, go, decision, asked_at + go.left_ms / 1000)
        except message.TextTooLong as error:
            # The start measured it, with another brand or code length than this worker's configuration has.
            self._outbox.record_impossible(job, "text_too_long", f"{error} The configuration has changed.")
        except KeyUnknown:
            # Another worker composed it meanwhile, with a newer key. The try is written down, and nothing left.
            self._outbox.record_retry(job, _FOR_OTHERS.wait_ms(1, self._random()), NotSent(_NO_KEY))
        except SealBroken:
            _log.exception("a sealed value cannot be opened", extra={"delivery_id": _id(job)})
            self._outbox.record_impossible(
                job, "unreadable", "The sealed message cannot be opened with the keys at hand."
            )

    def _has_key(self, draft: PendingDelivery) -> bool:
        return not draft.sealed_by or self._vault.knows(draft.sealed_by)

    def _hand_back(self, job: Job, draft: PendingDelivery, app: App | None, sender: Sender | None) -> None:
        if app is None:
            code, title = "app_unknown", f"no worker at hand has the app {draft.app} in its configuration"
        elif sender is None:
            code, title = "sender_unknown", f"no worker at hand has the sender {draft.sender} in its configuration"
        else:
            code, title = "key_unknown", _NO_KEY
        _log.warning("left to another worker", extra={"delivery_id": _id(job), "reason": title})
        self._left(code)
        self._outbox.return_to_queue(
            job, code, title, _FOR_OTHERS.wait_ms(1, self._random()), may_fail_over=code == "sender_unknown"
        )

    def _hand_on(self, job: Job, draft: PendingDelivery, sender: Sender, decision: BreakerDecision) -> bool:
        """Leave a held sender for a better one of the route; False if there is none, and this one is to be tried."""
        better = self._sender_health.better(sender, draft.rest)
        title = f"The carrier lets nothing through: {decision.title}."
        return bool(better) and self._outbox.pass_to_next_sender(job, decision.code, title, better)

    def _await_turn(self, job: Job, draft: PendingDelivery, sender: Sender) -> bool:
        if draft.paced:
            return True
        left_ms = draft.expires_ms - draft.now_ms
        wait_ms = self._outbox.acquire_rate_slot(sender.name, sender.rate_per_s, max(left_ms, 0))
        if wait_ms < 0:
            # The queue before this sender is longer than the code lives: another sender, or an honest failure.
            self._outbox.record_impossible(
                job, "sender_busy", "The sender's rate leaves no room before the code expires."
            )
            return False
        if wait_ms > TURN_MS:
            self._outbox.record_rate_wait(job, wait_ms)
            return False
        if wait_ms:
            self._sleep(wait_ms / 1000)
        return True

    def _compose(self, job: Job, draft: PendingDelivery, app: App, sender: Sender) -> str:
        if draft.box is None:
            return ""  # the verification has ended: `begin` will say so
        box = json.loads(self._vault.open(draft.box))
        if box["v"] != job.reference.token:
            raise SealBroken("the sealed box belongs to another verification")
        # What goes by a template has no text of ours, and need not fit into one.
        text = self._text(draft, app, sender, box) if sender.channel is Channel.SMS else ""
        delivery_id = _id(job)
        composed = self._carrier.compose(
            sender,
            to=box["to"],
            text=text,
            code=box["code"],
            webhook_url=f"{self._public_url}/webhooks/telnyx/{delivery_id}",
            delivery_id=delivery_id,
        )
        return self._vault.seal(composed)

    def _text(self, draft: PendingDelivery, app: App, sender: Sender, box: Mapping[str, Any]) -> str:
        return message.render(
            code=box["code"],
            brand=app.brand,
            lifetime_s=(draft.expires_ms - draft.now_ms + message.ROUNDING_MS) // 1000,
            locale=draft.locale or None,
            context=box["context"],
            autofill=message.read_autofill(draft.autofill),
            replies=sender.two_way,
        )

    def _call(self, job: Job, sender: Sender, go: SendPermit, decision: BreakerDecision, ends_s: float) -> None:
        composed = self._vault.open(go.sealed_body)
        outcome = self._carrier.send(composed, idempotency_key=_id(job), within_s=ends_s - self._monotonic())
        self._count(sender.name, type(outcome).__name__.lower())
        extra = {"delivery_id": _id(job), "sender": sender.name, "try": go.attempt}
        match outcome:
            case Accepted():
                self._outbox.record_accepted(job, outcome)
                _log.info("accepted by the carrier", extra=extra)
            case Refused(code=code, action=action):
                level = logging.ERROR if action in _TOLD_AS_ERRORS else logging.WARNING
                _log.log(level, "refused by the carrier", extra={**extra, "carrier_code": code, "action": str(action)})
                self._outbox.record_refused(job, outcome)
            case NotSent(reason=reason, retry_after_s=after_s):
                wait_ms = _AFTER_NOT_SENT.wait_ms(go.attempt, self._random())
                if after_s is not None:
                    # Not sooner than the carrier asks for, nor every moment for as long as a code lives.
                    wait_ms = max(int(after_s * 1000), min(wait_ms, LONGEST_SHORT_WAIT_MS), SHORTEST_WAIT_MS)
                _log.warning("not sent", extra={**extra, "reason": reason, "wait_ms": wait_ms})
                self._outbox.record_retry(job, wait_ms, outcome)
            case Unknown(reason=reason):
                wait_ms = _AFTER_UNKNOWN.wait_ms(go.attempt, self._random())
                _log.warning("the answer was lost", extra={**extra, "reason": reason, "wait_ms": wait_ms})
                self._outbox.record_unknown(job, wait_ms, outcome)
        self._sender_health.learn(sender, outcome, decision, job.reference.number_hash)

    # ---- timers ----------------------------------------------------------------------------------------------------

    def attend(self, due: Timer) -> str | None:
        """Do what a timer that has come asks for. Raises StoreUnavailable; the timer then comes again.

        A message id: the carrier is to be asked about it, which takes its time (`ask`); the timer comes again anyway.
        """
        if due.kind == "x":
            self._store.expire(due.reference)
        elif due.kind == "r":
            self._outbox.requeue(due)
        elif due.kind == "p":
            return self._outbox.claim_poll(due)
        elif due.kind == "f":
            return self._outbox.claim_failover(due)
        elif due.kind == "c":
            status = self._outbox.close_delivery(due)
            if status is not None:
                extra = {"delivery_id": due.reference.delivery_id(due.ordinal), "outcome": status}
                _log.warning("nothing more was heard of a delivery", extra=extra)
        return None

    def ask(self, due: Timer, message_id: str) -> None:
        """Ask the carrier what became of a silent delivery's message. Raises StoreUnavailable."""
        report = self._carrier.fetch_report(message_id)
        if report is None:
            return
        moved = self._book.apply_report(due.reference, due.ordinal, due.reference.number_hash, report, None)
        self._sender_health.moved(moved, report, due.reference.number_hash)
        extra = {"delivery_id": due.reference.delivery_id(due.ordinal), "outcome": moved.outcome}
        _log.info("asked the carrier about a silent delivery", extra=extra)


def _id(job: Job) -> str:
    return job.reference.delivery_id(job.ordinal)
