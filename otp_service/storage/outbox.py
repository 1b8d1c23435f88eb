"""The outbox: deliveries to make, who works on them, and what is due later.

One stream per shard with one consumer group; an entry is acknowledged and deleted in the same script that writes down
what became of it. A worker shows that it is alive by touching what it holds; what has lain untouched for `STALE_MS`
is taken over. What must wait (a retry, a poll, an expiry) lies in a sorted set per shard and not in a
process's memory, so nothing is lost with the process.
"""

import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any, cast

from redis.exceptions import ResponseError

from .. import telemetry
from ..domain.delivery import MARGIN_MS, TOO_LATE, Accepted, DeliveryReport, NotSent, Refused, Unknown, from_carrier
from ..domain.errors import NotReady, StoreUnavailable
from ..domain.ids import Ids, Reference
from ..domain.operation import Job, PendingDelivery, ReportOutcome, SendPermit, Timer
from ..domain.policy import MAX_CONSECUTIVE_WRONG, Limit
from ..domain.routing import may_try_next
from .answering import answering, answers
from .client import LONGEST_BLOCK_S, RESTS_S, Store
from .keyrings import Keyrings
from .places import OwnPlaces
from .schema import Keys
from .scripts import Scripts
from .verifications import rules_text

GROUP = "workers"
STALE_MS = 6_000
"""Entries that no worker has touched for so long are taken over. Longer than a worker's pulse, see `touch`."""

MESSAGE_TTL_MS = 48 * 3_600_000
EVENT_TTL_MS = 24 * 3_600_000
FIRST_POLL_MS = 8_000
"""A silent delivery is asked for the first time: within ten seconds of the send, the worker's pulse included."""

POLL_WAITS_MS = (10_000, 20_000, 40_000, 80_000, 160_000)
LAST_POLL_MS = 10_000
"""After the code's end it is asked for once more."""

UNDER_WAY_MS = 10_000
"""A request to the carrier has an answer by then, or none."""

ASKED_MS = 3_000
DEAD_KEPT = 10_000
"""Entries and timers of a shard that nobody can read."""

STICKY_TTL_MS = 30 * 86_400_000
_CARRIER_RANK = {
    "scheduled": 0,
    "queued": 0,
    "sending": 1,
    "sent": 2,
    "delivery_unconfirmed": 3,
    "dlr_timeout": 3,
    "delivered": 5,
    "read": 6,
}
_FAILED_RANK = 4
_TIMERS = ("r", "p", "f", "c")
_log = logging.getLogger("otp.outbox")


class Outbox:
    """The outboxes and timers of all shards, as one worker named `consumer` sees them."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, ids: Ids, consumer: str) -> None:
        self._store = store
        self._client = store.client
        self._scripts = scripts
        self._keys = keys
        self._ids = ids
        self._consumer = consumer
        self._keyrings = Keyrings(store, keys)
        self._own_places = OwnPlaces()
        self._paced_alone_until: dict[str, float] = {}

    # ---- taking work -----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the consumer groups that do not exist yet, on all shards that answer.

        Raises StoreUnavailable if none does. Whoever finds no group on a shard later opens it then.
        """
        outboxes = [self._keys.outbox(shard) for shard in range(self._keys.shards)]
        made = self._store.gather([("XGROUP CREATE", name, GROUP, "0", "MKSTREAM") for name in outboxes])
        answers([True if isinstance(reply, ResponseError) and "BUSYGROUP" in str(reply) else reply for reply in made])

    def reading_lanes(self) -> list[list[int]]:
        """The shards that one blocking read may cover: all of them on a single server, one each in a Cluster."""
        shards = list(range(self._keys.shards))
        return [[shard] for shard in shards] if self._store.is_cluster else [shards]

    def take(self, shards: Sequence[int], count: int, block_s: float) -> list[Job]:
        """Wait up to `block_s` seconds for new entries of these shards. Raises StoreUnavailable."""
        return self._take(shards, count, ">", max(1, int(min(block_s, LONGEST_BLOCK_S) * 1000)))

    def take_own(self, shards: Sequence[int], count: int) -> list[Job]:
        """Entries that were given to this worker and not settled, whether it knows of them or not.

        Raises StoreUnavailable.
        """
        return self._take(shards, count, "0", None)

    def _take(self, shards: Sequence[int], count: int, after: str, block_ms: int | None) -> list[Job]:
        streams = [self._keys.outbox(shard) for shard in shards]
        block: list[str | int] = [] if block_ms is None else ["BLOCK", block_ms]
        command = ["XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", count, *block, "STREAMS", *streams]
        with answering():
            try:
                reply = self._store.read_group([*command, *[after] * len(streams)])
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                # The store was emptied under us.
                self.open()
                return []
        by_name = {self._keys.outbox(shard): shard for shard in shards}
        entries = reply.items() if isinstance(reply, dict) else (reply or [])
        jobs = []
        for name, messages in entries:
            jobs += self._jobs(by_name[name], _flat(messages))
        return jobs

    def take_over(self, shard: int, count: int) -> list[Job]:
        """Entries that a dead worker left behind. Raises StoreUnavailable."""
        command = ("XAUTOCLAIM", self._keys.outbox(shard), GROUP, self._consumer, STALE_MS, "0-0", "COUNT", count)
        (reply,) = self._store.gather([command])
        if isinstance(reply, ResponseError) and "NOGROUP" in str(reply):
            self.open()
            return []
        (claimed,) = answers([reply])
        return self._jobs(shard, claimed[1])

    def touch(self, jobs: Sequence[Job]) -> None:
        """Show that the jobs are still in living hands. Raises StoreUnavailable if no shard of theirs answers."""
        by_shard: dict[int, list[str]] = {}
        for job in jobs:
            by_shard.setdefault(job.shard, []).append(job.entry)
        commands: list[list[str | int]] = [
            ["XCLAIM", self._keys.outbox(shard), GROUP, self._consumer, 0, *entries, "JUSTID"]
            for shard, entries in by_shard.items()
        ]
        answers(self._store.gather(commands))

    def _jobs(self, shard: int, messages: Any) -> list[Job]:
        jobs = []
        for entry, fields in messages:
            named = self._ids.read_delivery((fields or {}).get("dlv", ""))
            if named is None or self._keys.shard(named[0].number_hash) != shard:
                self._bury(shard, "entry", entry)
            else:
                jobs.append(Job(shard, entry, *named))
        return jobs

    def _bury(self, shard: int, kind: str, name: str) -> None:
        # What nobody can read must not come back for ever, nor hold up its neighbours. To a foreign index key, though,
        # everything looks like that.
        self._require_own_store()
        keys = [self._keys.outbox(shard), self._keys.timers(shard), self._keys.dead(shard)]
        if self._scripts.run("bury", keys, [GROUP, kind, name, DEAD_KEPT]):
            telemetry.OUTBOX_DEAD.labels(kind).inc()
            _log.error("nobody can read this; it was set aside", extra={"kind": kind, "where": self._keys.dead(shard)})

    def _require_own_store(self) -> None:
        try:
            self._keyrings.require(self._ids.fingerprint)
        except NotReady as error:
            _log.error("nothing is taken from this store", extra={"reason": error.detail})
            raise StoreUnavailable("The store belongs to another keyring.") from error

    # ---- one try ---------------------------------------------------------------------------------------------------

    def pending_delivery(self, job: Job) -> PendingDelivery | None:
        """What is needed to write the request; None if the verification is gone. Raises StoreUnavailable."""
        p = f"{job.ordinal}:"
        names = ["app", f"{p}snd", f"{p}ch", f"{p}loc", f"{p}af", "expires", f"{p}paced", f"{p}rest"]
        with answering():
            found: Any = self._client.hmget(self._keys.record(job.reference), names)
            box, body = cast("Any", self._client.hmget(self._keys.secrets(job.reference), ["box", f"b{job.ordinal}"]))
        if any(value is None for value in found[:6]):
            return None
        app, sender, channel, locale, autofill, expires, paced, route = found
        rest = tuple(part.partition("|")[0] for part in (route or "").split(",") if part)
        now_ms = self._store.time_ms(self._keys.record(job.reference))
        kid, colon, _ = (body or box or "").partition(":")
        has_body, is_paced = body is not None, paced == "1"
        sealed_by, life = kid if colon else "", (int(expires), now_ms)
        return PendingDelivery(app, sender, channel, locale, autofill, *life, box, has_body, is_paced, rest, sealed_by)

    def begin_send(
        self, job: Job, app: str, sealed_body: str, wrong_limits: Sequence[Limit], all_wrong_limits: Sequence[Limit]
    ) -> SendPermit | None:
        """Write the try down and get the bytes to send; None if there is nothing to send. Raises StoreUnavailable.

        The limits are those of the app and those over all apps.
        """
        ref, k = job.reference, self._keys
        keys = [
            k.record(ref),
            k.secrets(ref),
            k.outbox(job.shard),
            k.audit(job.shard),
            k.timeline(ref),
            k.timers(job.shard),
            k.optouts(ref.number_hash),
            k.wrong(ref.number_hash, app),
            k.streak(ref.number_hash, app),
            k.wrong_everywhere(ref.number_hash),
            k.sends(ref.number_hash),
        ]
        args: list[str | int] = [ref.token, job.ordinal, GROUP, job.entry, sealed_body, rules_text(wrong_limits)]
        args += [MAX_CONSECUTIVE_WRONG, MARGIN_MS, secrets.token_hex(8), rules_text(all_wrong_limits)]
        reply = self._scripts.run("begin", keys, args)
        return SendPermit(reply[1], int(reply[2]), int(reply[3])) if reply[0] == "send" else None

    def record_accepted(self, job: Job, outcome: Accepted) -> str:
        """The carrier took it; `fell_back` if it holds it for longer than the code lives and another sender has it."""
        held_ms = int(outcome.wait_s * 1000)
        args: list[str | int] = [outcome.message_id, outcome.status or "", FIRST_POLL_MS, MESSAGE_TTL_MS, held_ms]
        return self._settle(job, "accepted", args, outcome.message_id)

    def record_refused(self, job: Job, outcome: Refused) -> str:
        """The carrier said no; the next sender of the route is queued where that can help."""
        may_fail_over = "1" if may_try_next(outcome) else "0"
        args = [outcome.code, outcome.title, may_fail_over, "1" if outcome.opted_out else "0"]
        return self._settle(job, "refused", args)

    def record_retry(self, job: Job, wait_ms: int, outcome: NotSent) -> str:
        """Surely nothing was sent: the same again after a wait."""
        return self._settle(job, "retry", [wait_ms, outcome.reason, "1" if outcome.reason == TOO_LATE else "0"])

    def record_rate_wait(self, job: Job, wait_ms: int) -> str:
        """The sender's place in time is reserved and not yet come: come back then."""
        return self._settle(job, "turn", [wait_ms])

    def record_unknown(self, job: Job, wait_ms: int, outcome: Unknown) -> str:
        """It may have been sent: a webhook may tell, else the same bytes again after a wait."""
        return self._settle(job, "unknown", [wait_ms, outcome.reason])

    def record_impossible(self, job: Job, code: str, title: str) -> str:
        """We cannot make this request at all (its seal is broken, its sender is no longer configured).

        `unknown` if an earlier try may have been sent: no other sender is then asked to repeat it.
        """
        return self._settle(job, "failed", [code, title, "1", "0"])

    def return_to_queue(self, job: Job, code: str, title: str, wait_ms: int, *, may_fail_over: bool) -> str:
        """This worker cannot do it, another may: it comes again after a wait, until its code's end.

        `may_fail_over`: the next sender may have it when it was not sent in time.
        """
        return self._settle(job, "handed_back", [code, title, "1" if may_fail_over else "0", wait_ms])

    def record_held(self, job: Job, code: str, title: str, wait_ms: int, *, may_fail_over: bool = True) -> str:
        """The sender is not to be asked now: the next one has it, or it waits where there is none or it was tried."""
        return self._settle(job, "held", [code, title, "1" if may_fail_over else "0", wait_ms])

    def pass_to_next_sender(self, job: Job, code: str, title: str, better: Sequence[str]) -> bool:
        """The sender is held: the next one has it, if one of the `better` is still left for it.

        False: none is (the person opted out of its profile, an earlier try may have been sent), and nothing changed.
        """
        return self._settle(job, "hand_on", [code, title, "1", ",".join(better)]) != "stays"

    def _settle(self, job: Job, outcome: str, args: Sequence[str | int], message_id: str | None = None) -> str:
        ref, k = job.reference, self._keys
        keys = [
            k.record(ref),
            k.outbox(job.shard),
            k.audit(job.shard),
            k.timeline(ref),
            k.timers(job.shard),
            k.optouts(ref.number_hash),
            k.sends(ref.number_hash),
        ]
        if message_id is not None:
            keys.append(k.message(ref.number_hash, message_id))
        if outcome == "refused":
            keys.append(k.opted_out(job.shard))
        reply = self._scripts.run("settle", keys, [ref.token, job.ordinal, GROUP, job.entry, outcome, *args])
        return str(reply)

    # ---- receipts --------------------------------------------------------------------------------------------------

    def find_message(self, number_hash: str, message_id: str) -> tuple[Reference, int] | None:
        """The delivery that became this message at the carrier. Raises StoreUnavailable."""
        with answering():
            found: Any = self._client.get(self._keys.message(number_hash, message_id))
        return self._ids.read_delivery(found) if found else None

    def apply_report(
        self, ref: Reference, ordinal: int, number_hash: str, report: DeliveryReport, event_id: str | None
    ) -> ReportOutcome:
        """Move a delivery by what the carrier says of its message. Raises StoreUnavailable.

        A word of the carrier that we do not know is `same`.
        """
        status = from_carrier(report.status)
        if status is None:
            return ReportOutcome("same")
        k, shard = self._keys, self._keys.shard(ref.number_hash)
        keys = [
            k.record(ref),
            k.outbox(shard),
            k.audit(shard),
            k.timeline(ref),
            k.timers(shard),
            k.optouts(ref.number_hash),
            k.message(ref.number_hash, report.message_id),
            k.event(ref.number_hash, event_id or "none"),
            k.sticky(ref.number_hash),
            k.opted_out(shard),
        ]
        error = report.error
        args: list[str | int] = [
            ref.token,
            ordinal,
            report.message_id,
            report.status,
            status,
            _CARRIER_RANK.get(report.status, _FAILED_RANK),
            error.code if error else "",
            error.title if error else "",
            "1" if error is None or may_try_next(error) else "0",
            number_hash,
            MESSAGE_TTL_MS,
            EVENT_TTL_MS if event_id else "0",
            "1" if error is not None and error.opted_out else "0",
            FIRST_POLL_MS,
            STICKY_TTL_MS,
        ]
        return ReportOutcome(*self._scripts.run("receipt", keys, args))

    def record_click(self, ref: Reference, ordinal: int, event_id: str) -> str:
        """Put a followed link into the timeline. Raises StoreUnavailable."""
        k, shard = self._keys, self._keys.shard(ref.number_hash)
        keys = [k.record(ref), k.audit(shard), k.timeline(ref), k.event(ref.number_hash, event_id)]
        return str(self._scripts.run("click", keys, [ref.token, ref.delivery_id(ordinal), EVENT_TTL_MS]))

    # ---- what is due -----------------------------------------------------------------------------------------------

    def due(self, count: int) -> list[Timer]:
        """Timers that have come, of all shards that answer. Raises StoreUnavailable if none does."""
        timers = [self._keys.timers(shard) for shard in range(self._keys.shards)]
        clocks = self._store.times_ms(timers)
        # Of a shard whose clock is not known nothing is due; it is asked all the same, for the case that all are dead.
        until = [-1 if now_ms is None else now_ms for now_ms in clocks]
        commands = zip(timers, until, strict=True)
        found = self._store.gather([("ZRANGEBYSCORE", name, "-inf", ms, "LIMIT", 0, count) for name, ms in commands])
        return [due for shard, members in enumerate(answers(found)) for due in self._dues(shard, members or [])]

    def _dues(self, shard: int, members: Sequence[str]) -> list[Timer]:
        dues = []
        for member in members:
            kind, _, name = member.partition(":")
            if kind == "x":
                ref = self._ids.read_token(name)
                named = (ref, 0) if ref else None
            else:
                named = self._ids.read_delivery(name) if kind in _TIMERS else None
            if named is None or self._keys.shard(named[0].number_hash) != shard:
                # Left where it is, it would be the first of every look, and a hundred of them all that is seen.
                self._bury(shard, "timer", member)
            else:
                dues.append(Timer(shard, kind, *named))
        return dues

    def requeue(self, due: Timer) -> bool:
        """Put a delivery back whose wait is over; False if somebody else did. Raises StoreUnavailable."""
        keys = [self._keys.timers(due.shard), self._keys.record(due.reference), self._keys.outbox(due.shard)]
        return bool(self._scripts.run("requeue", keys, [due.reference.delivery_id(due.ordinal), due.ordinal]))

    def claim_poll(self, due: Timer) -> str | None:
        """The message to ask the carrier about, if it is ours to ask now. Raises StoreUnavailable."""
        keys = [self._keys.timers(due.shard), self._keys.record(due.reference)]
        waits = ",".join(str(wait) for wait in POLL_WAITS_MS)
        args: list[str | int] = [due.reference.delivery_id(due.ordinal), due.ordinal, waits, LAST_POLL_MS]
        return str(self._scripts.run("claim_poll", keys, args)) or None

    def claim_failover(self, due: Timer) -> str | None:
        """Hand a message that was not sent in time to the next sender. Raises StoreUnavailable.

        A message id: ask the carrier what became of it and apply the answer; the timer comes again.
        """
        ref, k = due.reference, self._keys
        keys = [
            k.record(ref),
            k.outbox(due.shard),
            k.audit(due.shard),
            k.timeline(ref),
            k.timers(due.shard),
            k.optouts(ref.number_hash),
        ]
        reply = self._scripts.run("fall", keys, [ref.token, due.ordinal, UNDER_WAY_MS, ASKED_MS])
        return str(reply[1]) if reply[0] == "ask" else None

    def close_delivery(self, due: Timer) -> str | None:
        """End a delivery that nothing more will be heard of; the status it ended in. Raises StoreUnavailable."""
        ref, k = due.reference, self._keys
        keys = [k.record(ref), k.audit(due.shard), k.timeline(ref), k.timers(due.shard), k.sends(ref.number_hash)]
        return str(self._scripts.run("close", keys, [ref.token, due.ordinal])) or None

    def put_off(self, due: Timer, wait_ms: int) -> None:
        """Let a timer that cannot be attended to come again later. Raises StoreUnavailable."""
        name = due.reference.token if due.kind == "x" else due.reference.delivery_id(due.ordinal)
        at_ms = self._store.time_ms(self._keys.timers(due.shard)) + wait_ms
        with answering():
            self._client.zadd(self._keys.timers(due.shard), {f"{due.kind}:{name}": at_ms}, xx=True)

    def acquire_rate_slot(self, sender: str, rate_per_s: float, patience_ms: int) -> int:
        """Reserve the sender's next place: milliseconds to wait, negative if it would be too long.

        While the sender's shard of a Cluster is dead, each process reserves places of its own. Raises StoreUnavailable.
        """
        if time.monotonic() >= self._paced_alone_until.get(sender, 0.0):
            try:
                keys = [self._keys.sender_rate(sender)]
                return int(self._scripts.run("pace", keys, [str(rate_per_s), patience_ms]))
            except StoreUnavailable:
                if not self._store.is_cluster:
                    raise
                _log.warning("a sender is paced by each process alone", extra={"sender": sender})
                self._paced_alone_until[sender] = time.monotonic() + RESTS_S
        return round(1000 * self._own_places.reserve(sender, 1 / rate_per_s, patience_ms / 1000))

    def rests(self, shard: int) -> bool:
        """Whether the shard did not answer a moment ago, so that asking it again would only cost time."""
        return self._store.rests(self._keys.timers(shard))

    def depth(self) -> int:
        """Deliveries waiting on all shards that answer. Raises StoreUnavailable if none does."""
        lengths = self._store.gather([("XLEN", self._keys.outbox(shard)) for shard in range(self._keys.shards)])
        return sum(length or 0 for length in answers(lengths))


def _flat(messages: Any) -> "list[Any]":
    # RESP3 answers one list more deeply nested than RESP2.
    if messages and isinstance(messages[0], list) and (not messages[0] or isinstance(messages[0][0], tuple)):
        messages = messages[0]
    return list(messages)
