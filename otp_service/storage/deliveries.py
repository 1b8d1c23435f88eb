"""Deliveries: beginning to send one, and recording how the attempt ended."""

import itertools
import secrets
from collections.abc import Iterable, Mapping, Sequence

from ..domain.admission import OuterAnswer
from ..domain.delivery import MARGIN_MS, TOO_LATE, Accepted, NotSent, Refused, Unknown
from ..domain.failover import blamed
from ..domain.outbox import Job, PendingDelivery, SendPermit
from ..domain.policy import MAX_CONSECUTIVE_WRONG, Limit, Sender
from ..domain.prices import ExpectedCost
from .arguments import route_text, rules_text, spend_text
from .pieces import as_bytes, joined, pack_sealed, unpack_sealed
from .schema import Keys
from .schema.encodings import DeliveryFacts, NextSender, RecordFacts, Sending, SpendTaken, flag
from .schema.fields import ConsumerGroup, Delivery, Record, Secrets
from .script_files import Value
from .scripts import Scripts
from .sender_rate import SenderRate
from .store import Store, fields_of

FIRST_POLL_MS = 8_000
"""The first poll after a send without a report: within ten seconds, the worker's heartbeat included."""


class Deliveries:
    """The deliveries of one store. Methods raise StoreUnavailable.

    `senders` are all that this process knows: no messaging profile stands in a record. `rate`: theirs, for slots that
    are taken together with a read.
    """

    def __init__(
        self, store: Store, scripts: Scripts, keys: Keys, senders: Iterable[Sender], rate: SenderRate | None = None
    ) -> None:
        self._rate = rate
        self._call, self._calls = secrets.token_hex(8), itertools.count()
        self._senders = route_text(senders)
        self._store = store
        self._client = store.client
        self._scripts = scripts
        self._keys = keys

    def pending_delivery(self, job: Job, *, rate_per_s: float = 0.0) -> PendingDelivery | None:
        """What is needed to write the request; None if the verification is gone.

        With the rate of the sender that the entry names, a slot of it is taken in the same trip, if one comes at once.
        """
        n = job.ordinal
        names = [Record.FACTS, f"{n}{Delivery.FACTS}", Record.EXPIRES, Record.SENDING]
        optional = [f"{n}{field}" for field in (Delivery.AUTOFILL, Delivery.RATE_LIMITED, Delivery.SPEND)]
        record, secrets_key = self._keys.record(job.reference), self._keys.secrets(job.reference)
        reads = [("HMGET", record, *names, *optional), ("HGETALL", secrets_key)]
        slot = self._rate.free_slot(job.sender, rate_per_s) if self._rate is not None and rate_per_s else None
        if slot is None:
            (found, sealed), now_ms = self._store.read_at(reads)
            taken = None
        else:
            (found, sealed), now_ms, taken = self._store.read_beside(reads, slot)
        if any(value is None for value in found[: len(names)]):
            return None
        facts, its_facts, expires, sending, autofill, rate_limited, spend = found
        its, kept = DeliveryFacts.named(its_facts), fields_of(sealed)
        box, body = _unsealed(kept, Secrets.BOX), _unsealed(kept, f"{Secrets.BODY}{n}")
        app = RecordFacts.parse(facts)[0]
        return PendingDelivery(
            app,
            its["sender"],
            its["channel"],
            its["locale"],
            autofill or "",
            int(expires),
            now_ms,
            box,
            body is not None,
            rate_limited == "1",
            _names(its["next_senders"]),
            _key_id(body or box or ""),
            int(its["send"]) < int(Sending.parse(sending)[0]),
            taken if isinstance(taken, int) and taken >= 0 and its["sender"] == job.sender else None,
            _untaken(app, spend or ""),
        )

    def begin_send(
        self,
        job: Job,
        app: str,
        sealed_body: str,
        wrong_limits: Sequence[Limit],
        all_wrong_limits: Sequence[Limit],
        *,
        spend: OuterAnswer | None = None,
    ) -> SendPermit | None:
        """Record the attempt and get the body to send; None if there is nothing to send.

        The limits are those of the app and those over all apps. `spend`: whether the expected price was taken now.
        """
        ref, k = job.reference, self._keys
        keys = self._keys_of(job) | {"secrets": k.secrets(ref), "run": k.run(job.shard)}
        reply = self._scripts.call(
            "delivery/begin_send",
            keys,
            token=ref.token,
            number_hash=ref.number_hash,
            ordinal=job.ordinal,
            senders=self._senders,
            group=ConsumerGroup.WORKERS,
            entry=job.entry,
            candidate=pack_sealed(sealed_body),
            wrong_rules=rules_text(wrong_limits),
            wrong_everywhere_rules=rules_text(all_wrong_limits),
            consecutive_max=MAX_CONSECUTIVE_WRONG,
            margin_ms=MARGIN_MS,
            call=f"{self._call}{next(self._calls)}",
            spend=spend_text(spend),
        )
        if reply[0] != "send":
            return None
        return SendPermit(unpack_sealed(as_bytes(reply[1])), int(reply[2]), int(reply[3]))

    # ---- how an attempt ended --------------------------------------------------------------------------------------

    def record_accepted(self, job: Job, outcome: Accepted) -> str:
        """The carrier accepted it; `failed_over` if it queues it for longer than the code lives and another has it."""
        return self._record(
            "record_accepted",
            job,
            {"secrets": self._keys.secrets(job.reference)},
            message_id=outcome.message_id,
            carrier_status=outcome.status or "",
            held_ms=int(outcome.wait_s * 1000),
            first_poll_ms=FIRST_POLL_MS,
        )

    def record_refused(self, job: Job, outcome: Refused) -> str:
        """The carrier refused it; the next sender of the route is queued where that can help."""
        return self._record(
            "record_refused",
            job,
            {"opted_out": self._keys.opted_out(job.shard)},
            code=outcome.code,
            title=outcome.title,
            blamed=blamed(outcome),
            opted_out=flag(outcome.opted_out),
        )

    def record_retry(self, job: Job, wait_ms: int, outcome: NotSent) -> str:
        """Surely nothing was sent: the same again after a wait."""
        keep_reason = flag(outcome.reason == TOO_LATE)
        return self._record("record_retry", job, wait_ms=wait_ms, reason=outcome.reason, keep_reason=keep_reason)

    def record_unknown(self, job: Job, wait_ms: int, outcome: Unknown) -> str:
        """It may have been sent: a delivery report may come, else the same body again after a wait."""
        return self._record("record_unknown", job, wait_ms=wait_ms, reason=outcome.reason)

    def record_impossible(self, job: Job, code: str, title: str) -> str:
        """We cannot make this request at all (its seal is broken, its sender is no longer configured).

        `unknown` if an earlier attempt may have been sent: no other sender then repeats it.
        """
        return self._record("record_impossible", job, code=code, title=title)

    # ---- nothing was tried -----------------------------------------------------------------------------------------

    def record_rate_wait(self, job: Job, wait_ms: int) -> str:
        """The slot in the sender's rate has not come yet: again when it has."""
        return self._record("record_rate_wait", job, wait_ms=wait_ms)

    def return_to_queue(self, job: Job, title: str, wait_ms: int, *, may_fail_over: bool) -> str:
        """This worker cannot send it, another may: it comes again after a wait, until its code's end.

        `may_fail_over`: the next sender may have it when it was not sent in time.
        """
        return self._record("return_to_queue", job, title=title, may_fail_over=flag(may_fail_over), wait_ms=wait_ms)

    def record_held(self, job: Job, code: str, title: str, wait_ms: int, *, may_fail_over: bool = True) -> str:
        """The sender may not send now: the next one has it, or it waits if there is none or it may have been sent."""
        return self._record(
            "record_held", job, code=code, title=title, may_fail_over=flag(may_fail_over), wait_ms=wait_ms
        )

    def pass_to_next_sender(self, job: Job, code: str, title: str, better: Sequence[str]) -> bool:
        """The sender is held: the next one has it, if one of the `better` is still left for it.

        False: none is (the person opted out of its profile, or an earlier attempt may have been sent); nothing changed.
        """
        return self._record("pass_to_next_sender", job, code=code, title=title, better=",".join(better)) != "stays"

    def _record(self, script: str, job: Job, more_keys: dict[str, str] | None = None, **args: Value) -> str:
        reply = self._scripts.call(
            f"delivery/{script}",
            self._keys_of(job) | (more_keys or {}),
            token=job.reference.token,
            number_hash=job.reference.number_hash,
            ordinal=job.ordinal,
            senders=self._senders,
            group=ConsumerGroup.WORKERS,
            entry=job.entry,
            repeat=True,
            **args,
        )
        return str(reply)

    def _keys_of(self, job: Job) -> dict[str, str]:
        ref, k = job.reference, self._keys
        return {
            "record": k.record(ref),
            "outbox": k.outbox(job.shard),
            "audit": k.audit(job.shard),
            "timers": k.timers(job.shard),
            "optouts": k.optouts(ref.number_hash),
            "number": k.number(ref.number_hash),
        }


def _untaken(app: str, spend: str) -> ExpectedCost | None:
    day, micros, region = SpendTaken.parse(spend) if spend else ("-", "0", "")
    return None if day else ExpectedCost(app, region, int(micros))


def _names(route: str) -> tuple[str, ...]:
    return tuple(NextSender.parse(sender)[0] for sender in route.split(",") if sender)


def _unsealed(kept: Mapping[str, str], name: str) -> str | None:
    stored = joined(kept, name)
    return None if stored is None else unpack_sealed(stored)


def _key_id(sealed: str) -> str:
    kid, colon, _ = sealed.partition(":")
    return kid if colon else ""
