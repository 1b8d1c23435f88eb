"""Bringing one code to one phone: what a worker does with an outbox entry.

The order is the safety: pace, write the try down, only then call the carrier, then write down what it said. A crash
between any two leaves the entry for another worker, which sends the same bytes under the same key.
"""

import json
import logging
from collections.abc import Callable

from ..domain import message
from ..domain.delivery import Accepted, Action, NotSent, Refused, Unknown
from ..domain.errors import SealBroken
from ..domain.operation import Draft, Due, Go, Job
from ..domain.policy import App, Policy, Sender
from . import ports
from .alert import Alert

TURN_MS = 250
"""A wait for the sender's turn that a thread may sleep through; a longer one is spent in the store."""

_BACKOFF_MS = (500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000)
_UNKNOWN_MS = (2_000, 3_000, 5_000, 10_000, 20_000, 40_000)
_log = logging.getLogger("otp.deliver")


class Deliver:
    """The worker's story. Safe for many threads. `sleep` takes seconds; `random` gives [0, 1)."""

    def __init__(
        self,
        *,
        outbox: ports.OutboxPort,
        book: ports.ReceiptBook,
        store: ports.VerificationStore,
        carrier: ports.Carrier,
        vault: ports.Vault,
        policy: Policy,
        public_url: str,
        sleep: Callable[[float], object],
        random: Callable[[], float],
        count: Callable[[str, str], None],
        stops: ports.Stops,
        alert: Alert,
    ) -> None:
        self._outbox = outbox
        self._book = book
        self._store = store
        self._carrier = carrier
        self._vault = vault
        self._policy = policy
        self._public_url = public_url
        self._sleep = sleep
        self._random = random
        self._count = count
        self._stops = stops
        self._alert = alert

    def send(self, job: Job) -> None:
        """Work one outbox entry to its end. Raises StoreUnavailable, and then the entry stays for another try."""
        draft = self._outbox.draft(job)
        if draft is None:
            # The record is gone; `begin` finds the same and settles the entry.
            self._outbox.begin(job, "", "", ())
            return
        app, sender = self._policy.apps.get(draft.app), self._policy.senders.get(draft.sender)
        if app is None or sender is None:
            self._outbox.impossible(job, "sender_missing", "The sender or app is no longer configured.")
            return
        # What was tried already goes on as it began: it may have been sent.
        if not draft.has_body and self._stops.stopped(sender.messaging_profile_id):
            self._outbox.impossible(job, "sender_stopped", "The sender's messaging profile has spent its daily limit.")
            return
        if not self._await_turn(job, draft, sender):
            return
        try:
            body = "" if draft.has_body else self._compose(job, draft, app, sender)
            go = self._outbox.begin(job, app.name, body, app.wrong_codes_per_number)
            if go is not None:
                self._call(job, sender, go)
        except SealBroken:
            _log.exception("a sealed value cannot be opened", extra={"delivery_id": _id(job)})
            self._outbox.impossible(job, "unreadable", "The sealed message cannot be opened with the keys at hand.")

    def _await_turn(self, job: Job, draft: Draft, sender: Sender) -> bool:
        if draft.paced:
            return True
        left_ms = draft.expires_ms - draft.now_ms
        wait_ms = self._outbox.pace(sender.name, sender.rate_per_s, max(left_ms, 0))
        if wait_ms < 0:
            # The queue before this sender is longer than the code lives: another sender, or an honest failure.
            self._outbox.impossible(job, "sender_busy", "The sender's rate leaves no room before the code expires.")
            return False
        if wait_ms > TURN_MS:
            self._outbox.wait_turn(job, wait_ms)
            return False
        if wait_ms:
            self._sleep(wait_ms / 1000)
        return True

    def _compose(self, job: Job, draft: Draft, app: App, sender: Sender) -> str:
        if draft.box is None:
            return ""  # the verification has ended: `begin` will say so
        box = json.loads(self._vault.open(draft.box))
        if box["v"] != job.reference.body:
            raise SealBroken("the sealed box belongs to another verification")
        text = message.render(
            code=box["code"],
            brand=app.brand,
            lifetime_s=(draft.expires_ms - draft.now_ms + 5_000) // 1000,
            locale=draft.locale or None,
            context=box["context"],
            autofill=message.Autofill(**json.loads(draft.autofill)) if draft.autofill else None,
        )
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

    def _call(self, job: Job, sender: Sender, go: Go) -> None:
        composed = self._vault.open(go.sealed_body)
        outcome = self._carrier.send(composed, idempotency_key=_id(job))
        self._count(sender.name, type(outcome).__name__.lower())
        extra = {"delivery_id": _id(job), "sender": sender.name, "try": go.attempt}
        match outcome:
            case Accepted():
                self._outbox.accepted(job, outcome)
                _log.info("accepted by the carrier", extra=extra)
            case Refused(code=code, action=action):
                level = logging.ERROR if action in (Action.STOP_ALL, Action.STOP_SENDER) else logging.WARNING
                _log.log(level, "refused by the carrier", extra={**extra, "carrier_code": code, "action": str(action)})
                self._outbox.refused(job, outcome)
                self._alert.refused(outcome, sender)
            case NotSent(reason=reason, retry_after_s=after_s):
                wait_ms = self._wait(_BACKOFF_MS, go.attempt) if after_s is None else int(after_s * 1000)
                _log.warning("not sent", extra={**extra, "reason": reason, "wait_ms": wait_ms})
                self._outbox.retry_later(job, wait_ms, outcome)
            case Unknown(reason=reason):
                wait_ms = self._wait(_UNKNOWN_MS, go.attempt)
                _log.warning("the answer was lost", extra={**extra, "reason": reason, "wait_ms": wait_ms})
                self._outbox.unknown(job, wait_ms, outcome)

    def _wait(self, steps: tuple[int, ...], attempt: int) -> int:
        base = steps[min(attempt, len(steps)) - 1]
        return int(base * (0.75 + 0.5 * self._random()))

    # ---- timers ----------------------------------------------------------------------------------------------------

    def attend(self, due: Due) -> None:
        """Do what a timer that has come asks for. Raises StoreUnavailable; the timer then comes again."""
        if due.kind == "x":
            self._store.expire(due.reference)
        elif due.kind == "r":
            self._outbox.requeue(due)
        elif due.kind == "p":
            self._poll(due)

    def _poll(self, due: Due) -> None:
        message_id = self._outbox.claim_poll(due)
        if message_id is None:
            return
        receipt = self._carrier.ask(message_id)
        if receipt is None:
            return
        outcome = self._book.apply(due.reference, due.ordinal, due.reference.number_hash, receipt, None)
        extra = {"delivery_id": due.reference.delivery_id(due.ordinal), "outcome": outcome}
        _log.info("asked the carrier about a silent delivery", extra=extra)


def _id(job: Job) -> str:
    return job.reference.delivery_id(job.ordinal)
