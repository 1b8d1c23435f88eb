"""Callbacks to the apps about their verifications: events become callbacks, callbacks are sent until they arrive.

Every event of `domain.callback.EVENTS` of an app that has an endpoint is queued at least once and sent at least once: a
crash anywhere repeats a step and skips none. Its `webhook-id` and its bytes are the same at every attempt, so receivers
can recognise a repeat. The object in it is the verification as it is when the callback is written, which may already be
newer than the event; `version` shows which of two is the later one, since callbacks may overtake one another.

Not here: threads (`runtime.callback_worker`), when to try again (`domain.callback.judge`).
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from ..domain.audit import Event
from ..domain.callback import EVENTS, FACTOR_EVENTS, Answer, Callback, GiveUp, RetryLater, callback_id, judge
from ..domain.errors import StoreUnavailable
from ..domain.view import TimelineEntry, VerificationView
from . import ports

BATCH = 50
"""Events of a shard that are taken at once."""

Write = Callable[[str, int, VerificationView, Sequence[TimelineEntry]], str]
"""Makes the body: type of the event, its time in Unix milliseconds, the verification, its timeline."""

WriteFactor = Callable[[Event], str]
"""Makes the body of an event of a factor."""

_Found = tuple[VerificationView, list[TimelineEntry]] | None
_log = logging.getLogger("otp.callbacks")


class SendCallbacks:
    """Queues and sends callbacks. Safe for many threads. `apps` are those that have an endpoint."""

    def __init__(
        self,
        *,
        audit_consumer: ports.AuditConsumer,
        queue: ports.CallbackQueue,
        store: ports.VerificationStore,
        receivers: ports.Receivers,
        vault: ports.Vault,
        apps: Sequence[str],
        write: Write,
        write_factor: WriteFactor,
        random: Callable[[], float],
        count: Callable[[str, str], None],
    ) -> None:
        self._audit_consumer = audit_consumer
        self._queue = queue
        self._store = store
        self._receivers = receivers
        self._ids = vault.ids
        self._apps = tuple(apps)
        self._write = write
        self._write_factor = write_factor
        self._random = random
        self._count = count
        self._sending: set[Callback] = set()

    # ---- events become callbacks -----------------------------------------------------------------------------------

    def collect(self, *, left_behind: bool) -> int:
        """Queue callbacks for the next events (or for those that a dead worker took); how many events there were.

        What is for an app that only other processes know is left to them. What the store did not take is read again
        later and keeps no other waiting: in a Cluster the shard of one app's callbacks may be dead while others answer.
        Raises StoreUnavailable if it took nothing.
        """
        events = self._audit_consumer.claim_stale(BATCH) if left_behind else self._audit_consumer.read_new(BATCH)
        others = self._apps_of_others(events)
        known: dict[str, _Found] = {}
        done: list[Event] = []
        failure: StoreUnavailable | None = None
        for event in events:
            if event.type in EVENTS and event.app in others:
                continue
            try:
                if event.type in EVENTS and event.app in self._apps:
                    self._queue_one(event, event.app, known)
                done.append(event)
            except StoreUnavailable as error:
                failure = error
        if failure is not None and not done:
            raise failure
        if done:
            self._audit_consumer.acknowledge(done)
        return len(done)

    def announce(self) -> None:
        """Tell other processes to which apps this one sends callbacks; again and again. Raises StoreUnavailable."""
        self._queue.announce(self._apps)

    def _apps_of_others(self, events: Sequence[Event]) -> frozenset[str]:
        """Apps to which other processes alone send callbacks, as far as these events need it.

        In a restart of one process after the other some know an app that others do not: its events are theirs.
        """
        foreign = {event.app for event in events if event.type in EVENTS} - {*self._apps, "", None}
        return self._queue.announce(self._apps) & foreign if foreign else frozenset()

    def _queue_one(self, event: Event, app: str, known: dict[str, _Found]) -> None:
        facts = {"app": app, "event_type": event.type, "callback_id": callback_id(event)}
        try:
            callback = self._callback(event, app, known)
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - a record that cannot be read must not keep all later events waiting
            _log.exception("a callback could not be written", extra=facts)
            self._count(app, "unreadable")
            return
        if callback is None:
            _log.warning("an event's verification is forgotten; its callback is lost", extra=facts)
            self._count(app, "forgotten")
            return
        outcome = self._queue.put(callback)
        self._count(app, "known" if outcome == "known" else "queued")
        if outcome == "full":
            _log.error("too many callbacks wait; one became a dead letter", extra={"app": app})
            self._count(app, "crowded_out")

    def _callback(self, event: Event, app: str, known: dict[str, _Found]) -> Callback | None:
        verification_id = event.verification_id or ""
        if event.type in FACTOR_EVENTS:
            return Callback(callback_id(event), app, event.type, verification_id, self._write_factor(event))
        if verification_id not in known:
            # One look for all its events of a batch: they had all happened when the batch was taken.
            known[verification_id] = self._look(app, verification_id)
        found = known[verification_id]
        if found is None:
            return None
        body = self._write(event.type, event.at_ms, *found)
        return Callback(callback_id(event), app, event.type, verification_id, body)

    def _look(self, app: str, verification_id: str) -> _Found:
        ref = self._ids.read(verification_id)
        return self._store.view_with_timeline(ref, app) if ref is not None else None

    # ---- callbacks are sent ----------------------------------------------------------------------------------------

    def due(self) -> Mapping[str, int]:
        """How many callbacks of each app could be sent now. Raises StoreUnavailable."""
        return self._queue.due(self._apps)

    def send_next(self, app: str) -> bool:
        """Send the app's next callback, if there is one; whether there was. Raises StoreUnavailable."""
        callback = self._queue.claim(app)
        if callback is None:
            return False
        self._sending.add(callback)
        try:
            self._settle(callback, self._receivers.post(callback))
        finally:
            self._sending.discard(callback)
        return True

    def hand_back(self) -> None:
        """Let another worker send at once what is being sent here and waits for its receiver. Raises StoreUnavailable.

        The receiver may get it twice then, as after the end of its lease.
        """
        for callback in list(self._sending):
            self._queue.schedule_retry(callback, 0, 0, "its worker ended")

    def _settle(self, callback: Callback, answer: Answer) -> None:
        facts = {
            "app": callback.app,
            "event_type": callback.type,
            "callback_id": callback.id,
            "try": callback.attempt,
            "status": answer.status,
            "reason": answer.reason,
        }
        match judge(answer, callback.attempt, self._random()):
            case None:
                self._queue.record_sent(callback)
                self._count(callback.app, "sent")
                _log.info("callback sent", extra=facts)
            case RetryLater(wait_ms=wait_ms, pause_ms=pause_ms):
                self._queue.schedule_retry(callback, wait_ms, pause_ms, answer.reason)
                self._count(callback.app, "failed")
                _log.warning("a callback will be tried again", extra=facts | {"wait_ms": wait_ms})
            case GiveUp(pause_ms=pause_ms):
                self._queue.dead_letter(callback, pause_ms, answer.reason)
                self._count(callback.app, "dead")
                _log.error("a callback was given up; see: otp-service callbacks list --dead", extra=facts)
