"""Where verifications are kept: start, check, cancel, redeem and read, each state change one script."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ..clock import rfc3339
from ..domain.binding import UNBOUND_CHECKS
from ..domain.checking import Approval, Approved, CheckAnswer, CheckCommand, LatestAnswer, Limited, OfSubject, Wrong
from ..domain.denial import Denial
from ..domain.ending import Canceled, Ended, NotFound, Redeemed
from ..domain.errors import KeyUnknown, NotReady, StoreUnavailable
from ..domain.guarding import GuardNeeded
from ..domain.ids import Ids, Reference
from ..domain.marks import marked_test
from ..domain.policy import MAX_CONSECUTIVE_WRONG
from ..domain.starting import StartAnswer, StartCommand, Started, StartRefused, WouldSend
from ..domain.verification import Status
from ..domain.view import TimelineEntry, VerificationView
from .answering import answering, answers
from .arguments import denial_arguments, rules_text, slots_text
from .callers import webhook
from .guard_arguments import (
    BUDGETS,
    budget_keys,
    converted_of,
    guard_times,
    packed_policy,
    reports_of,
    verdict_of,
)
from .latest_hints import LatestHints
from .record_views import View, app_of, created, is_of, timeline_of, view_of
from .schema import Keys
from .schema.encodings import LatestEntry, MessageEntry, StartOperation, flag
from .schema.fields import Number, Record
from .script_replies import refused, require_echo
from .scripts import Scripts
from .start_call import start_arguments, start_keys
from .store import Store, fields_of
from .told import Told

EVENT_TTL_MS = 24 * 3_600_000

_MAX_RUNS = 5


class Verifications:
    """The verifications of one store."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, ids: Ids, told: Told | None = None) -> None:
        self._store = store
        self._client = store.client
        self._scripts = scripts
        self._keys = keys
        self._ids = ids
        self._hints = LatestHints()
        self._told = told or Told()

    def start(self, command: StartCommand) -> StartAnswer:
        """Create, or send again. Raises StoreUnavailable."""
        known = self._hints.get(command.reference.number_hash, command.app.name, command.purpose)
        for _ in range(_MAX_RUNS):
            reply = self._run_start(command, known)
            require_echo(reply, command.operation_id)
            match reply[1]:
                case "known":
                    known = self._reference(reply[2])
                    self._hints.put(command.app.name, command.purpose, known)
                case "refused":
                    return refused(reply, command.guard_place)
                case "replayed":
                    return self._replayed(self._reference(reply[3]), command.app.name, resent=reply[2] == "resent")
                case "created":
                    self._hints.put(command.app.name, command.purpose, command.reference)
                    person = command.subject or command.reference.number_hash
                    subject = self._ids.subject(command.app.name, person)
                    return created(command, subject, reply[3:])
                case "guard":
                    return GuardNeeded(reply[2] == "quiet")
                case _:
                    ref, flat = self._reference(reply[2]), reply[5]
                    record = dict(zip(flat[::2], flat[1::2], strict=True))
                    verdict = verdict_of(reply[6], command.guard_place)
                    return self._shown(
                        Started, ref, record, int(reply[3]), resent=True, guarded=reply[4], verdict=verdict
                    )
        # The number's verifications change faster than we can read them: somebody is flooding it.
        raise StoreUnavailable("Too many requests for this number at once.")

    def would_start(self, command: StartCommand) -> WouldSend | StartRefused | GuardNeeded:
        """Judge a start and change nothing. Raises StoreUnavailable."""
        known = self._hints.get(command.reference.number_hash, command.app.name, command.purpose)
        for _ in range(_MAX_RUNS):
            reply = self._run_start(command, known, dry_run=True)
            require_echo(reply, command.operation_id)
            match reply[1]:
                case "known":
                    known = self._reference(reply[2])
                case "refused":
                    return refused(reply)
                case "guard":
                    return GuardNeeded(reply[2] == "quiet")
                case _:
                    return WouldSend(str(reply[2]))
        raise StoreUnavailable("Too many requests for this number at once.")

    def _replayed(self, ref: Reference, app: str, *, resent: bool) -> Started:
        record, now_ms = self._read(ref)
        if not is_of(record, app):
            raise NotReady("The verification vanished from the store while it was being started.")
        return self._shown(Started, ref, record, now_ms, resent=resent, replayed=True)

    def _run_start(self, command: StartCommand, known: Reference | None, *, dry_run: bool = False) -> Any:
        # A Cluster has the budgets of the pumping guard on other servers, and a dry run must not fill them.
        asks_guard = not self._store.is_cluster and not dry_run
        keys = start_keys(self._keys, command, known, asks_guard=asks_guard)
        args = start_arguments(command, known, dry_run=dry_run, asks_guard=asks_guard)
        return self._scripts.call("verification/start", keys, **args)

    def check(self, command: CheckCommand) -> CheckAnswer:
        """Judge one guess. Raises StoreUnavailable, and then nothing is known to have been judged.

        Raises KeyUnknown if the code was made with a key of which the command has no digest; then nothing was counted.
        """
        keys = self._check_keys(command)
        return self._judged(command, command.reference, keys["record"], self._run_check(command, keys)[2:])

    def check_latest(self, command: CheckCommand) -> LatestAnswer | None:
        """The same by number: at the latest verification for app and purpose, an ended one too. None if there is none.

        Raises as `check`.
        """
        reply = self._run_check(command, self._check_keys(command))
        if not reply[1]:
            return None
        ref = self._reference(reply[1])
        return LatestAnswer(ref, self._judged(command, ref, self._keys.record(ref), reply[2:]))

    def _run_check(self, command: CheckCommand, keys: Mapping[str, str]) -> Any:
        app = command.app
        reply = self._scripts.call(
            "verification/check",
            keys,
            operation=command.operation_id,
            token=command.reference.token,
            number_hash=command.reference.number_hash,
            app=app.name,
            receipt_id=command.receipt_id,
            wrong_rules=rules_text(app.wrong_codes_per_number),
            wrong_everywhere_rules=rules_text(command.per_number.wrong_codes),
            consecutive_max=MAX_CONSECUTIVE_WRONG,
            asserted_number=command.asserted_number,
            asserted_purpose=command.asserted_purpose,
            asserted_subject=command.asserted_subject,
            by_purpose=command.by_purpose or "",
            by_subject=command.by_subject,
            request_key=command.request_key,
            challenge=command.challenge,
            unbound_max=UNBOUND_CHECKS,
            outer_wait_ms=command.outer_wait_ms,
            outer_limit=command.outer_limit,
            outer_refusing=slots_text(command.outer_refusing),
            guard_rules=guard_times(app.guard),
            guard_policy="" if self._store.is_cluster else packed_policy(app.guard),
            digests=[part for kid, digest in command.digests.items() for part in (kid, bytes.fromhex(digest))],
        )
        require_echo(reply, command.operation_id)
        return reply

    def _judged(self, command: CheckCommand, ref: Reference, record: str, reply: Sequence[str]) -> CheckAnswer:
        self._told.add_check(record, command.operation_id, reply)
        match reply[0]:
            case "approved":
                return self._approved(command, ref, reply[1:13])
            case "wrong":
                return Wrong(int(reply[1]))
            case "unbound":
                return Wrong(int(reply[1]), unbound=True)
            case "ended":
                return Ended(Status(reply[1]), counted=len(reply) > 2)
            case "limited":
                return Limited(int(reply[1]), reply[2])
            case "of_subject":
                return OfSubject(reply[1])
            case "no_key":
                raise KeyUnknown(reply[1])
            case _:
                return NotFound()

    def _approved(self, command: CheckCommand, ref: Reference, reply: Sequence[str]) -> Approved:
        at, number_hash, purpose, channel, context_hash, receipt_id, mask, subject, test, *guarded = reply
        approval = Approval(
            verification_id=ref.verification_id,
            status="approved",
            approved_at=rfc3339(int(at)),
            to=mask,
            purpose=purpose,
            channel=channel,
            sub=self._ids.subject(command.app.name, subject or number_hash),
            receipt="",
            test=marked_test(test == flag(True)),
        )
        # Each command has a receipt id of its own: another one is that of the first approval.
        replayed = receipt_id != command.receipt_id
        packed, is_given_back, reports = guarded
        converted = converted_of(command.app.name, packed)
        given_back = reports_of(reports) if is_given_back else None
        return Approved(
            approval,
            int(at),
            context_hash,
            receipt_id,
            replayed,
            subject,
            converted=converted,
            given_back=given_back,
        )

    def _check_keys(self, command: CheckCommand) -> dict[str, str]:
        keys = self._ending_keys(command.reference)
        keys["number"] = number = self._keys.number(command.reference.number_hash)
        keys["start_refusals"] = self._keys.start_refusals(command.reference.number_hash, command.app.name)
        if self._store.is_cluster:
            return keys | dict.fromkeys(BUDGETS, number)
        # The script knows the number's country, and completes the keys with it.
        return keys | budget_keys(self._keys, command.app.name, "")

    def _ending_keys(self, ref: Reference) -> dict[str, str]:
        """What a script needs that may end a verification."""
        shard = self._keys.shard(ref.number_hash)
        return {
            "record": self._keys.record(ref),
            "secrets": self._keys.secrets(ref),
            "audit": self._keys.audit(shard),
            "run": self._keys.run(shard),
        }

    def cancel(self, operation_id: str, ref: Reference, app: str) -> Canceled | Ended | NotFound:
        """Withdraw a pending verification. Raises StoreUnavailable."""
        keys = self._ending_keys(ref)
        reply = self._scripts.call(
            "verification/cancel",
            keys,
            operation=operation_id,
            token=ref.token,
            number_hash=ref.number_hash,
            app=app,
        )
        require_echo(reply, operation_id)
        match reply[1]:
            case "canceled":
                self._told.add(keys["record"], Record.STATUS, Status.CANCELED)
                return Canceled()
            case "ended":
                return Ended(Status(reply[2]))
            case _:
                return NotFound()

    def redeem(self, operation_id: str, ref: Reference, app: str, receipt_id: str, ends_ms: int) -> Redeemed | NotFound:
        """Spend a receipt once; NotFound if this approval gave no such receipt or its time is over."""
        keys = self._ending_keys(ref)
        reply = self._scripts.call(
            "verification/redeem_receipt",
            {name: keys[name] for name in ("record", "audit", "run")},
            operation=operation_id,
            token=ref.token,
            number_hash=ref.number_hash,
            app=app,
            receipt_id=receipt_id,
            receipt_expires_ms=ends_ms,
        )
        require_echo(reply, operation_id)
        if reply[1] == "invalid":
            return NotFound()
        self._told.add(keys["record"], Record.REDEEMED, reply[2])
        return Redeemed(int(reply[2]), reply[1] == "redeemed", mask=reply[3], purpose=reply[4])

    def expire(self, ref: Reference) -> bool:
        """End the verification if its time has run out. Raises StoreUnavailable."""
        keys = self._ending_keys(ref) | {"timers": self._keys.timers(self._keys.shard(ref.number_hash))}
        return bool(self._scripts.call("verification/expire", keys, token=ref.token, number_hash=ref.number_hash))

    def pending(self, number_hash: str) -> list[Reference]:
        """The number's verifications that may be pending, of all apps and purposes. Raises StoreUnavailable.

        Of one app and purpose there may be several, each for a subject of its own. The number knows the latest, those
        that were started lately, and those of its last messages.
        """
        key = self._keys.number(number_hash)
        with answering():
            number: Any = self._client.hgetall(key)
        found = [LatestEntry.parse(entry) for name, entry in number.items() if name.startswith(Number.LATEST)]
        now_ms = self._store.time_ms(key) if found else 0
        latest = [self._reference(token) for token, expires_ms in found if int(expires_ms) > now_ms]
        known = {token for token, _ in found}
        earlier = (self._ids.read_token(token) for token in _earlier_tokens(number) - known)
        return [*latest, *(ref for ref in earlier if ref is not None)]

    def first_received(self, number_hash: str, event_id: str) -> int:
        """When this event was first received, in milliseconds of the store's clock. Raises StoreUnavailable.

        Also where replicas are expected and do not follow: whoever has the answer was at the primary, and a server that
        was cut off from its successor cannot say that nothing is `pending`.
        """
        run = self._keys.run(self._keys.shard(number_hash))
        keys = {"first_received": self._keys.first_received(number_hash, event_id), "run": run}
        return int(self._scripts.call("event/first_received", keys, kept_ms=EVENT_TTL_MS))

    def deny(self, ref: Reference, denial: Denial) -> str:
        """End the verification if this "that wasn't me" is about it: `denied` or `no`. Raises StoreUnavailable."""
        reply = self._scripts.call(
            "verification/deny",
            self._ending_keys(ref) | {"webhooks": self._keys.webhooks(self._keys.shard(ref.number_hash))},
            token=ref.token,
            number_hash=ref.number_hash,
            **denial_arguments(denial),
            **webhook(),
        )
        if reply == Status.DENIED:
            self._told.add(self._keys.record(ref), Record.STATUS, Status.DENIED)
        return str(reply)

    def view(self, ref: Reference, app: str | None) -> VerificationView | None:
        """The verification, or None if this app has none of that id. Raises StoreUnavailable.

        Without an app it is anybody's: only for callers who have proven that they may see this very one.
        """
        record, now_ms = self._read(ref)
        return self._shown(VerificationView, ref, record, now_ms) if is_of(record, app) else None

    def view_with_timeline(
        self, ref: Reference, app: str | None
    ) -> tuple[VerificationView, list[TimelineEntry]] | None:
        """As `view`, with every event in order."""
        record, now_ms = self._read(ref)
        if not is_of(record, app):
            return None
        return self._shown(VerificationView, ref, record, now_ms), timeline_of(ref, record)

    def versions(self, refs: Sequence[Reference]) -> list[int | None]:
        """The version of each, in one round trip on a single server; None for one that is there no more.

        Also None for one whose shard of a Cluster does not answer, so that the next read of it raises. Raises
        StoreUnavailable if none does.
        """
        found = answers(
            self._store.gather([("HMGET", self._keys.record(ref), Record.FACTS, Record.VERSION) for ref in refs])
        )
        return [None if reply is None or reply[0] is None else int(reply[1] or 0) for reply in found]

    def timeline(self, ref: Reference) -> list[TimelineEntry]:
        """Every event of the verification in order. Raises StoreUnavailable."""
        with answering():
            record: Any = self._client.hgetall(self._keys.record(ref))
        return timeline_of(ref, record)

    def _read(self, ref: Reference) -> tuple[Mapping[str, str], int]:
        (record,), now_ms = self._store.read_at([("HGETALL", self._keys.record(ref))])
        return fields_of(record), now_ms

    def _shown(self, kind: type[View], ref: Reference, record: Mapping[str, str], now_ms: int, **more: Any) -> View:
        person = record.get(Record.SUBJECT) or ref.number_hash
        subject, over = self._ids.subject(app_of(record), person), partial(self._told.is_over, record.get(Record.RUN))
        return view_of(kind, ref, record, now_ms, subject, over=over, **more)

    def _reference(self, token: str) -> Reference:
        ref = self._ids.read_token(token)
        if ref is None:
            raise StoreUnavailable("The store holds an id that is not ours.")
        return ref


def _earlier_tokens(number: Mapping[str, str]) -> set[str]:
    """The tokens of the last messages, and those that operations keep of verifications that are no longer latest."""
    tokens = {MessageEntry.parse(text)[1] for name, text in number.items() if name.startswith(Number.MESSAGE)}
    for operations in (text for name, text in number.items() if name.startswith(Number.OPERATIONS)):
        parts = (entry.split(StartOperation.separator) for entry in operations.split(","))
        tokens |= {entry[-1] for entry in parts if len(entry) == len(StartOperation.parts)}
    return tokens
