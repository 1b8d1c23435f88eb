"""Where verifications are kept: start, check, cancel, redeem and read, each state change one script."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.delivery import DeliveryStatus
from ..domain.errors import KeyUnknown, NotReady, StoreUnavailable
from ..domain.ids import Ids, Reference
from ..domain.operation import (
    OPERATION_TTL_MS,
    Approved,
    Canceled,
    CheckAnswer,
    CheckCommand,
    DeliveryView,
    Denial,
    Ended,
    Limited,
    NotFound,
    Redeemed,
    StartCommand,
    Started,
    StartRefused,
    Superseded,
    TimelineEntry,
    VerificationView,
    Wrong,
)
from ..domain.policy import MAX_CONSECUTIVE_WRONG, MAX_LIFETIME_MS, TOMBSTONE_MS, Limit, Sender
from ..domain.verification import Status
from .answering import answering, answers
from .client import Store
from .schema import Keys
from .scripts import Scripts

CLOCK_PLAY_MS = 5_000
"""By so much a code may seem to begin in the future; by more, the store's clock was set back, and the code is over."""

EVENT_TTL_MS = 24 * 3_600_000
CLOCKS_APART_MS = 5_000
"""How much the carrier's clock may be behind ours when it says when a person wrote."""

REFUSAL_GAP_MS = 1_000
"""Of the refusals of one kind to one number, one in this time goes on record."""

STREAK_TTL_MS = 30 * 86_400_000
_TRIES = 5


class Verifications:
    """The verifications of one store."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, ids: Ids) -> None:
        self._store = store
        self._client = store.client
        self._scripts = scripts
        self._keys = keys
        self._ids = ids

    def start(self, order: StartCommand) -> Started | StartRefused:
        """Create, or send again. Raises StoreUnavailable."""
        known: Reference | None = None
        for _ in range(_TRIES):
            reply = self._scripts.run("start", self._start_keys(order, known), self._start_args(order, known))
            _require_echo(reply, order.operation_id)
            match reply[1]:
                case "known":
                    known = self._reference(reply[2])
                case "refused":
                    left = int(reply[4]) if reply[4] != "" else None
                    return StartRefused(reply[2], int(reply[3]), left, reply[6])
                case "replayed":
                    first, _, body = reply[2].partition(":")
                    return Started(self._replayed_view(body, order.app.name), first == "resent", replayed=True)
                case outcome:
                    ref, flat = self._reference(reply[2]), reply[4]
                    record = dict(zip(flat[::2], flat[1::2], strict=True))
                    return Started(self._shown(ref, record, int(reply[3])), outcome == "resent")
        # The number's verifications change faster than we can read them: somebody is flooding it.
        raise StoreUnavailable("Too many requests for this number at once.")

    def _replayed_view(self, token: str, app: str) -> VerificationView:
        view = self.view(self._reference(token), app)
        if view is None:
            raise NotReady("The verification vanished from the store while it was being started.")
        return view

    def _start_keys(self, order: StartCommand, known: Reference | None) -> list[str]:
        k, ref, nh, app = self._keys, order.reference, order.reference.number_hash, order.app.name
        shard = k.shard(nh)
        keys = [
            k.operation(nh, order.operation_id),
            k.latest(nh, app, order.purpose),
            k.wrong(nh, app),
            k.streak(nh, app),
            k.starts(nh, app),
            k.optouts(nh),
            k.outbox(shard),
            k.audit(shard),
            k.timers(shard),
            *self._trio(ref),
            k.sticky(nh),
            k.pending(nh),
            k.refused(nh, app),
            k.sends(nh),
            k.wrong_everywhere(nh),
        ]
        return keys if known is None else keys + self._trio(known)

    def _trio(self, ref: Reference) -> list[str]:
        return [self._keys.record(ref), self._keys.secrets(ref), self._keys.timeline(ref)]

    def _start_args(self, order: StartCommand, known: Reference | None) -> list[str | int]:
        app = order.app
        return [
            order.operation_id,
            order.operation_ttl_ms,
            order.reference.token,
            known.token if known else "",
            app.name,
            order.purpose,
            order.channel,
            order.mask,
            order.reference.number_hash,
            order.context_hash,
            app.code_ttl_ms,
            MAX_LIFETIME_MS,
            app.max_checks,
            ",".join(str(wait) for wait in app.resend_after_ms),
            order.kid,
            order.digest,
            order.box,
            order.metadata,
            order.locale,
            order.autofill,
            route_text(order.route),
            rules_text(app.wrong_codes_per_number),
            rules_text(app.starts_per_number),
            order.queue_max,
            order.outer_wait_ms,
            TOMBSTONE_MS,
            MAX_CONSECUTIVE_WRONG,
            order.detail,
            ",".join(order.healthy),
            app.sent_within_ms,
            REFUSAL_GAP_MS,
            route_text(order.behind),
            rules_text(order.per_number.wrong_codes),
            rules_text(order.per_number.sends),
        ]

    def latest(self, number_hash: str, app: str, purpose: str) -> Reference | None:
        """The number's latest verification for app and purpose, an ended one too. Raises StoreUnavailable."""
        with answering():
            body: Any = self._client.get(self._keys.latest(number_hash, app, purpose))
        return None if body is None else self._reference(body)

    def check(self, order: CheckCommand) -> CheckAnswer:
        """Judge one guess. Raises StoreUnavailable, and then nothing is known to have been judged.

        Raises KeyUnknown if the code was made with a key of which the order has no digest; then nothing was counted.
        """
        k, ref, app = self._keys, order.reference, order.app
        nh = ref.number_hash
        shard = k.shard(nh)
        keys = [
            k.operation(nh, order.operation_id),
            k.record(ref),
            k.secrets(ref),
            k.wrong(nh, app.name),
            k.streak(nh, app.name),
            k.audit(shard),
            k.timeline(ref),
            k.timers(shard),
            k.wrong_everywhere(nh),
            k.sends(nh),
        ]
        if order.by_purpose is not None:
            keys.append(k.latest(nh, app.name, order.by_purpose))
        args: list[str | int] = [
            order.operation_id,
            OPERATION_TTL_MS,
            ref.token,
            app.name,
            order.receipt_id,
            rules_text(app.wrong_codes_per_number),
            MAX_CONSECUTIVE_WRONG,
            STREAK_TTL_MS,
            TOMBSTONE_MS,
            order.asserted_number,
            order.asserted_purpose,
            order.request_key,
            rules_text(order.per_number.wrong_codes),
        ]
        for kid, digest in order.digests.items():
            args += (kid, digest)
        reply = self._scripts.run("check", keys, args)
        _require_echo(reply, order.operation_id)
        match reply[1]:
            case "approved":
                return Approved(int(reply[2]), *reply[3:9])
            case "wrong":
                return Wrong(int(reply[2]))
            case "ended":
                return Ended(Status(reply[2]))
            case "limited":
                return Limited(int(reply[2]))
            case "moved":
                return Superseded()
            case "no_key":
                raise KeyUnknown(reply[2])
            case _:
                return NotFound()

    def cancel(self, operation_id: str, ref: Reference, app: str) -> Canceled | Ended | NotFound:
        """Withdraw a pending verification. Raises StoreUnavailable."""
        shard = self._keys.shard(ref.number_hash)
        keys = {
            "record": self._keys.record(ref),
            "secrets": self._keys.secrets(ref),
            "audit": self._keys.audit(shard),
            "timeline": self._keys.timeline(ref),
            "timers": self._keys.timers(shard),
        }
        reply = self._scripts.call(
            "verification/cancel", keys, operation=operation_id, token=ref.token, app=app, tombstone_ms=TOMBSTONE_MS
        )
        _require_echo(reply, operation_id)
        match reply[1]:
            case "canceled":
                return Canceled()
            case "ended":
                return Ended(Status(reply[2]))
            case _:
                return NotFound()

    def redeem(self, operation_id: str, ref: Reference, app: str, receipt_id: str, ends_ms: int) -> Redeemed | NotFound:
        """Spend a receipt once; NotFound if this approval gave no such receipt or its time is over."""
        keys = [self._keys.record(ref), self._keys.audit(self._keys.shard(ref.number_hash)), self._keys.timeline(ref)]
        reply = self._scripts.run("redeem", keys, [operation_id, ref.token, app, receipt_id, ends_ms])
        _require_echo(reply, operation_id)
        if reply[1] == "invalid":
            return NotFound()
        return Redeemed(int(reply[2]), reply[1] == "redeemed", mask=reply[3], purpose=reply[4])

    def expire(self, ref: Reference) -> bool:
        """End the verification if its time has run out. Raises StoreUnavailable."""
        shard = self._keys.shard(ref.number_hash)
        keys = [*self._trio(ref)[:2], self._keys.audit(shard), self._keys.timeline(ref), self._keys.timers(shard)]
        return bool(self._scripts.run("expire", keys, [ref.token, TOMBSTONE_MS]))

    def pending(self, number_hash: str) -> list[Reference]:
        """The number's verifications that may be pending, of all apps and purposes. Raises StoreUnavailable."""
        with answering():
            bodies: Any = self._client.zrange(self._keys.pending(number_hash), 0, -1)
        return [self._reference(body) for body in bodies]

    def first_heard(self, number_hash: str, event_id: str) -> int:
        """When this event was first heard of, in milliseconds of the store's clock. Raises StoreUnavailable."""
        return int(self._scripts.run("hear", [self._keys.event(number_hash, f"{event_id}:heard")], [EVENT_TTL_MS]))

    def deny(self, ref: Reference, denial: Denial) -> str:
        """End the verification if this "that wasn't me" is about it: `denied` or `no`. Raises StoreUnavailable."""
        k, shard = self._keys, self._keys.shard(ref.number_hash)
        keys = [*self._trio(ref)[:2], k.audit(shard), k.timeline(ref), k.timers(shard)]
        # What is posted again says nothing of a code that went out after it was first heard.
        before_ms = min(denial.at_ms + CLOCKS_APART_MS, denial.heard_ms)
        args: list[str | int] = [ref.token, ",".join(sorted(denial.apps)), ",".join(sorted(denial.senders))]
        return str(self._scripts.run("deny", keys, [*args, before_ms, TOMBSTONE_MS]))

    def view(self, ref: Reference, app: str | None) -> VerificationView | None:
        """The verification, or None if this app has none of that id. Raises StoreUnavailable.

        Without an app it is anybody's: only for callers who have proven that they may see this very one.
        """
        record, now_ms = self._read(ref)
        if "max" not in record or app not in (None, record.get("app")):
            return None
        return self._shown(ref, record, now_ms)

    def versions(self, refs: Sequence[Reference]) -> list[int | None]:
        """The version of each, in one round trip on a single server; None for one that is there no more.

        Also None for one whose shard of a Cluster does not answer, so that who reads it next is told. Raises
        StoreUnavailable if none does.
        """
        found = answers(self._store.gather([("HMGET", self._keys.record(ref), "max", "ver") for ref in refs]))
        return [None if reply is None or reply[0] is None else int(reply[1] or 0) for reply in found]

    def timeline(self, ref: Reference) -> list[TimelineEntry]:
        """Every event of the verification in order. Raises StoreUnavailable."""
        with answering():
            lines: Any = self._client.lrange(self._keys.timeline(ref), 0, -1)
        return [_entry(line) for line in lines]

    def _read(self, ref: Reference) -> tuple[Mapping[str, str], int]:
        with answering():
            record: Any = self._client.hgetall(self._keys.record(ref))
        return record, self._store.time_ms(self._keys.record(ref))

    def _shown(self, ref: Reference, record: Mapping[str, str], now_ms: int) -> VerificationView:
        return _view(ref, record, now_ms, self._ids.subject(record["app"], ref.number_hash))

    def _reference(self, body: str) -> Reference:
        ref = self._ids.read_token(body)
        if ref is None:
            raise StoreUnavailable("The store holds an id that is not ours.")
        return ref


def route_text(route: Sequence[Sender]) -> str:
    """A route as the scripts read it."""
    return ",".join(f"{sender.name}|{sender.kind}|{sender.messaging_profile_id}" for sender in route)


def rules_text(limits: Sequence[Limit]) -> str:
    """Limits as the scripts read them."""
    return ",".join(f"{limit.limit}:{limit.per_ms}" for limit in limits)


def _require_echo(reply: Any, operation_id: str) -> None:
    # A reply to somebody else's operation would be the worst of all answers (CVE-2023-28858).
    if not isinstance(reply, list) or reply[0] != operation_id:
        raise StoreUnavailable("The store's answer belongs to another request.")


def _view(ref: Reference, record: Mapping[str, str], now_ms: int, subject: str) -> VerificationView:
    status = Status(record["status"])
    created_ms = int(record["created"])
    expires_ms = min(int(record["expires"]), created_ms + MAX_LIFETIME_MS)
    if status is Status.PENDING and not created_ms - CLOCK_PLAY_MS <= now_ms < expires_ms:
        status = Status.EXPIRED
    return VerificationView(
        reference=ref,
        app=record["app"],
        purpose=record["purpose"],
        channel=record["channel"],
        mask=record["mask"],
        subject=subject,
        status=status,
        created_ms=int(record["created"]),
        expires_ms=expires_ms,
        attempts=int(record["attempts"]),
        max_checks=int(record["max"]),
        sends=int(record["sends"]),
        max_sends=int(record["sends_max"]),
        next_send_ms=int(record["next_send"]),
        metadata=record["metadata"],
        deliveries=tuple(_delivery(record, n) for n in range(1, int(record["dn"]) + 1)),
        version=int(record.get("ver", 0)),
        now_ms=now_ms,
    )


def _delivery(record: Mapping[str, str], n: int) -> DeliveryView:
    code = record.get(f"{n}:ec")
    return DeliveryView(
        ordinal=n,
        sender=record[f"{n}:snd"],
        kind=record[f"{n}:kind"],
        status=DeliveryStatus(record[f"{n}:st"]),
        carrier_status=record.get(f"{n}:cs") or None,
        error=(code, record.get(f"{n}:et", "")) if code else None,
        queued_ms=int(record[f"{n}:q"]),
        updated_ms=int(record[f"{n}:u"]),
    )


def _entry(line: str) -> TimelineEntry:
    event, at, delivery, detail = line.split("\x1f", 3)
    return TimelineEntry(event, int(at), delivery or None, json.loads(detail))
