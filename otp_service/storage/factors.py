"""Where factors are kept: enrol, confirm, rename, remove, check and redeem, each one script on the subject's shard."""

from collections.abc import Sequence
from typing import Any

from ..domain.ending import NotFound, Redeemed
from ..domain.errors import StoreUnavailable
from ..domain.factor_checking import (
    ApprovedCode,
    CodeUsed,
    ConfirmAnswer,
    Confirmed,
    Enrolled,
    Enrollment,
    EnrollmentExpired,
    FactorAnswer,
    FactorApproved,
    FactorGuess,
    NewCodes,
    NoFactor,
    SentCode,
    Settled,
    TooManyFactors,
    TriesSpent,
    TryTaken,
    WrongConfirmation,
    WrongFactorCode,
)
from ..domain.factors import (
    BINDS_MS,
    CONFIRM_MS,
    CONFIRM_TRIES,
    MOST_TOTP,
    RECEIPT_KEPT_MS,
    REPEATED_MS,
    WRONG_CODES,
    Authenticator,
    Factor,
    FactorKind,
    Factors,
    Subject,
)
from ..domain.ids import Ids, Reference
from ..domain.policy import TOMBSTONE_MS
from .factor_views import authenticator_of, factors_of
from .pieces import as_bytes, pack_sealed, unpack_sealed
from .schema import Keys
from .schema.encodings import flag
from .schema.fields import Factor as FactorField
from .schema.fields import PendingSecret
from .script_replies import require_echo
from .scripts import Scripts
from .store import Store, fields_of
from .told import Told

_SETTLED = ("row", "purpose", "verification", "number", "mask", "token", "replayed", "approved_ms", "test")


class FactorTable:
    """The factors of one store."""

    def __init__(self, store: Store, scripts: Scripts, keys: Keys, ids: Ids, told: Told | None = None) -> None:
        self._store = store
        self._scripts = scripts
        self._keys = keys
        self._told = told or Told()
        self._ids = ids

    def read(self, subject: Subject) -> Factors:
        """All factors of the subject. Raises StoreUnavailable."""
        (found,), now_ms = self._store.read_at([("HGETALL", self._keys.subject(subject.hash))])
        return factors_of(fields_of(found), subject, now_ms)

    def enrollment(self, subject: Subject, ref: Reference) -> tuple[Authenticator, int] | None:
        """An authenticator app that can be confirmed, and the store's time. Raises StoreUnavailable."""
        commands = [
            ("HGETALL", self._keys.subject(subject.hash)),
            ("HGET", self._keys.enrollment(ref), PendingSecret.SEALED),
        ]
        (found, sealed), now_ms = self._store.read_at(commands)
        pending = authenticator_of(fields_of(found), subject, ref)
        if pending is None or sealed is None:
            return None
        factor, form = pending
        return Authenticator(factor, form, unpack_sealed(as_bytes(sealed))), now_ms

    def enroll(self, enrollment: Enrollment) -> Enrolled | TooManyFactors:
        """Write it down for fifteen minutes. Raises StoreUnavailable."""
        form, ref = enrollment.form, enrollment.reference
        reply = self._call(
            "factor/enroll",
            self._own_keys(ref),
            enrollment.operation_id,
            enrollment.subject,
            token=ref.token,
            kind=FactorKind.TOTP,
            algorithm=form.algorithm,
            digits=form.digits,
            period_s=form.period_s,
            label=enrollment.label,
            sealed=pack_sealed(enrollment.sealed),
            confirm_ms=CONFIRM_MS,
            most=MOST_TOTP,
            kept_ms=TOMBSTONE_MS,
        )
        return Enrolled(int(reply[2])) if reply[1] == "enrolled" else TooManyFactors()

    def confirm(self, operation_id: str, subject: Subject, ref: Reference, steps: Sequence[int]) -> ConfirmAnswer:
        """Make it active. Raises StoreUnavailable."""
        reply = self._call(
            "factor/confirm",
            self._own_keys(ref),
            operation_id,
            subject,
            token=ref.token,
            most_tries=CONFIRM_TRIES,
            steps=list(steps),
        )
        match reply[1]:
            case "confirmed":
                return Confirmed()
            case "wrong":
                return WrongConfirmation(int(reply[2]))
            case "exhausted":
                return WrongConfirmation(0)
            case "expired":
                return EnrollmentExpired()
            case "used":
                return CodeUsed()
            case _:
                return NoFactor()

    def rename(self, subject: Subject, ref: Reference, label: str) -> bool:
        """Give it another label; whether it is there. Raises StoreUnavailable."""
        keys, (app, sub) = self._guarded_keys(subject), (subject.app, subject.sub)
        return bool(self._scripts.call("factor/rename", keys, app=app, sub=sub, token=ref.token, label=label))

    def remove(self, operation_id: str, subject: Subject, ref: Reference) -> bool:
        """Remove it; whether it was there. Raises StoreUnavailable."""
        keys, (app, sub) = self._own_keys(ref), (subject.app, subject.sub)
        return bool(
            self._scripts.call("factor/remove", keys, operation=operation_id, app=app, sub=sub, token=ref.token)
        )

    def replace_codes(self, codes: NewCodes) -> int:
        """Store new recovery codes; the store's time in milliseconds. Raises StoreUnavailable."""
        reply = self._call(
            "factor/replace_codes",
            self._guarded_keys(codes.subject),
            codes.operation_id,
            codes.subject,
            token=codes.reference.token,
            kind=FactorKind.RECOVERY_CODE,
            digests=list(codes.digests),
        )
        return int(reply[2])

    def check(self, guess: FactorGuess) -> FactorAnswer:
        """Judge one guess. Raises StoreUnavailable, and then nothing is known to have been judged."""
        token, digest = guess.recovery or ("", "")
        keys = self._guarded_keys(guess.subject)
        reply = self._call(
            "factor/check",
            keys | {"factor_receipt": self._keys.factor_receipt(guess.subject.hash, guess.receipt_id)},
            guess.operation_id,
            guess.subject,
            purpose=guess.purpose,
            recovery_token=token,
            digest=digest,
            more=flag(guess.more),
            **_tries(),
            receipt_ms=RECEIPT_KEPT_MS,
            repeat_ms=REPEATED_MS,
            guesses=[part for token, step in guess.steps for part in (token, step)],
        )
        if reply[1] == "approved":
            self._told.add(keys["subject"], f"{reply[2]}{FactorField.APPROVED_BY}", guess.operation_id)
        return self._answer(reply)

    def _answer(self, reply: Sequence[str]) -> FactorAnswer:
        match reply[1]:
            case "approved":
                left = int(reply[5]) if reply[5] else None
                kind, replayed = FactorKind(reply[3]), reply[6] == flag(True)
                return FactorApproved(self._reference(reply[2]), kind, int(reply[4]), left, replayed)
            case "used":
                return CodeUsed()
            case "wrong":
                return WrongFactorCode(int(reply[2]))
            case "limited":
                return TriesSpent(int(reply[2]), reply[3] == flag(True))
            case _:
                return TryTaken(int(reply[2]), int(reply[3]))

    def note_sent(self, sent: SentCode) -> None:
        """Remember what was sent last. Raises StoreUnavailable."""
        keys = self._own_keys(Reference(sent.reference.token, sent.subject.hash))
        self._scripts.call(
            "factor/note_sent",
            {name: keys[name] for name in ("subject", "enrollment", "run")},
            app=sent.subject.app,
            purpose=sent.purpose,
            verification=sent.reference.token,
            number=sent.reference.number_hash,
            binds=flag(sent.may_bind),
            sealed=pack_sealed(sent.sealed) if sent.sealed else "",
            kept_ms=BINDS_MS,
        )

    def note_told(self, subject: Subject, factor: Factor, notice: str, refused_by: str) -> None:
        """Record whether the person was told at this number. Raises StoreUnavailable."""
        self._scripts.call(
            "factor/note_told",
            {"audit": self._audit(subject)},
            repeat=False,
            app=subject.app,
            sub=subject.sub,
            token=factor.reference.token,
            kind=factor.kind,
            mask=factor.mask or "",
            number=factor.number_hash or "",
            notice=notice,
            refused_by=refused_by,
        )

    def told_all(self, subject: Subject, verification: Reference) -> None:
        """All others were told of the number that this verification bound. Raises StoreUnavailable."""
        keys = {"subject": self._keys.subject(subject.hash)}
        self._scripts.call("factor/told_all", keys, verification=verification.token)

    def approve_sent(self, operation_id: str, approved: ApprovedCode) -> Settled | None:
        """End the row, and bind the number where that is allowed. Raises StoreUnavailable."""
        named = {"purpose": approved.purpose, "mask": approved.mask, "token": approved.new.token}
        ref = approved.reference
        reply = self._settle(
            self._own_keys(Reference(ref.token, approved.subject.hash)),
            operation_id,
            approved.subject,
            "approved",
            verification=ref.token,
            number=ref.number_hash,
            replayed=flag(approved.replayed),
            approved_ms=approved.at_ms,
            test=flag(approved.test),
            **named,
        )
        if reply[1] != "settled":
            return None
        others = tuple(self._reference(token) for token in reply[4:])
        return Settled(self._reference(reply[2]), reply[3] == flag(True), others)

    def give_back(self, operation_id: str, subject: Subject, row: int) -> None:
        """Give a try back into its row; after a lost reply it stays taken. Raises StoreUnavailable."""
        self._settle(self._guarded_keys(subject), operation_id, subject, "returned", row=row, repeat=False)

    def _settle(self, keys: dict[str, str], operation_id: str, subject: Subject, outcome: str, **args: Any) -> Any:
        given = dict.fromkeys(_SETTLED, "") | args
        return self._call("factor/settle", keys, operation_id, subject, outcome=outcome, kind=FactorKind.SMS, **given)

    def lift(self, subject: Subject, reason: str, *, bind_ms: int | None = None) -> int:
        """Take away the wrong codes in a row; how many there were. Raises StoreUnavailable.

        With `bind_ms` they stay, and the subject may bind another number without proof for so long.
        """
        keys, (app, sub) = self._guarded_keys(subject), (subject.app, subject.sub)
        given = "" if bind_ms is None else bind_ms
        return int(self._scripts.call("factor/lift", keys, app=app, sub=sub, reason=reason, bind_ms=given))

    def redeem(
        self, operation_id: str, subject: Subject, ref: Reference, receipt_id: str, ends_ms: int
    ) -> Redeemed | NotFound:
        """Spend a receipt once; NotFound if its approval is not known. Raises StoreUnavailable."""
        keys = self._guarded_keys(subject)
        del keys["subject"]
        keys["factor_receipt"] = self._keys.factor_receipt(subject.hash, receipt_id)
        reply = self._call(
            "factor/redeem_receipt", keys, operation_id, subject, token=ref.token, receipt_expires_ms=ends_ms
        )
        if reply[1] == "invalid":
            return NotFound()
        return Redeemed(int(reply[2]), reply[1] == "redeemed", mask="", purpose="")

    def _call(self, name: str, keys: dict[str, str], operation_id: str, subject: Subject, **args: Any) -> Any:
        reply = self._scripts.call(name, keys, operation=operation_id, app=subject.app, sub=subject.sub, **args)
        require_echo(reply, operation_id)
        return reply

    def _audit(self, subject: Subject) -> str:
        return self._keys.audit(self._keys.shard(subject.hash))

    def _guarded_keys(self, subject: Subject) -> dict[str, str]:
        """Of a script whose answer must outlive a failover."""
        return self._subject_keys(subject) | {"run": self._keys.run(self._keys.shard(subject.hash))}

    def _subject_keys(self, subject: Subject) -> dict[str, str]:
        return {"subject": self._keys.subject(subject.hash), "audit": self._audit(subject)}

    def _own_keys(self, ref: Reference) -> dict[str, str]:
        return self._enrollment_keys(ref) | {"run": self._keys.run(self._keys.shard(ref.number_hash))}

    def _enrollment_keys(self, ref: Reference) -> dict[str, str]:
        return {
            "subject": self._keys.subject(ref.number_hash),
            "enrollment": self._keys.enrollment(ref),
            "audit": self._keys.audit(self._keys.shard(ref.number_hash)),
        }

    def _reference(self, token: str) -> Reference:
        ref = self._ids.read_token(token)
        if ref is None:
            raise StoreUnavailable("The store holds an id that is not ours.")
        return ref


def _tries() -> dict[str, int]:
    return {
        "free_tries": WRONG_CODES.free,
        "first_wait_ms": WRONG_CODES.first_wait_ms,
        "longest_wait_ms": WRONG_CODES.longest_wait_ms,
        "most_in_a_row": WRONG_CODES.most,
    }
