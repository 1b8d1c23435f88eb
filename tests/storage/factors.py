"""Subjects with factors in a store, as tests of the store make them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from otp_service.domain.factor_checking import (
    ApprovedCode,
    Enrolled,
    Enrollment,
    FactorAnswer,
    FactorGuess,
    NewCodes,
    SentCode,
    TryTaken,
)
from otp_service.domain.factors import Subject, TotpForm
from otp_service.domain.ids import Reference
from otp_service.storage.schema.encodings import TriesInARow
from otp_service.storage.schema.fields import Subject as SubjectField

if TYPE_CHECKING:
    from .harness import StoreHarness

Answer = TypeVar("Answer")
FORM = TotpForm()
_made = iter(range(10**9))


def new_subject(harness: "StoreHarness", app: str = "shop") -> Subject:
    """A subject that no other test has."""
    ids = harness.ring.ids
    hashed = ids.subject_hash(app, f"user-{next(_made)}")
    return Subject(app, hashed, ids.subject(app, hashed))


def new_reference(harness: "StoreHarness", subject: Subject) -> Reference:
    """The reference of a new factor."""
    return harness.ring.ids.new(subject.hash, next(_made).to_bytes(10, "big"))


def operation() -> str:
    """An operation that was not run before."""
    return f"factor-op-{next(_made)}"


def step_of(harness: "StoreHarness") -> int:
    """The time step of the store's clock."""
    return harness.now() // 30_000


def in_one_step(harness: "StoreHarness", judge: Callable[[int], Answer]) -> Answer:
    """The answer of a judgement whose time step did not end meanwhile."""
    while True:
        here = step_of(harness)
        answer = judge(here)
        if step_of(harness) == here:
            return answer


def enroll(harness: "StoreHarness", subject: Subject, ref: Reference | None = None) -> Reference:
    """An authenticator app that is to be confirmed."""
    ref = ref or new_reference(harness, subject)
    answer = harness.factors.enroll(Enrollment(operation(), ref, subject, FORM, "Phone", harness.ring.seal(b"s" * 20)))
    assert isinstance(answer, Enrolled)
    return ref


def active(harness: "StoreHarness", subject: Subject) -> Reference:
    """An active authenticator app. It was confirmed with the step before this one."""
    ref = enroll(harness, subject)
    here = step_of(harness)
    harness.factors.confirm(operation(), subject, ref, [here - 1, here])
    return ref


def codes(harness: "StoreHarness", subject: Subject, count: int = 10) -> tuple[Reference, tuple[str, ...]]:
    """Recovery codes: their reference, and the keyed hash of each."""
    ref, digests = new_reference(harness, subject), tuple(f"{number:032x}" for number in range(count))
    harness.factors.replace_codes(NewCodes(operation(), ref, subject, digests))
    return ref, digests


def guess(harness: "StoreHarness", subject: Subject, **members: object) -> FactorAnswer:
    """Judge a guess; a wrong one unless `steps` or `recovery` say otherwise."""
    made = {"operation_id": operation(), "subject": subject, "purpose": "login", "receipt_id": operation(), **members}
    return harness.factors.check(FactorGuess(**made))  # type: ignore[arg-type]


def set_tries(harness: "StoreHarness", subject: Subject, in_a_row: int, ago_ms: int) -> None:
    """Let the subject have so many wrong codes in a row, the last so long ago."""
    value = TriesInARow.pack(in_a_row, harness.now() - ago_ms, 0)
    harness.raw.hset(harness.keys.subject(subject.hash), SubjectField.WRONG, value)


def tries(harness: "StoreHarness", subject: Subject) -> int:
    """The subject's wrong codes in a row."""
    found = harness.raw.hget(harness.keys.subject(subject.hash), SubjectField.WRONG)
    return int(TriesInARow.parse(found)[0]) if found else 0


def every_factor(harness: "StoreHarness") -> None:
    """Each operation on factors, in every outcome that writes."""
    subject = new_subject(harness)
    harness.factors.remove(operation(), subject, enroll(harness, subject))
    pending = enroll(harness, subject)
    harness.factors.confirm(operation(), subject, pending, [])
    ref = active(harness, subject)
    harness.factors.rename(subject, ref, "Other")
    recovery, digests = codes(harness, subject)
    here = step_of(harness)
    guess(harness, subject)
    for _ in range(2):
        guess(harness, subject, steps=[(ref.token, here + 1)], receipt_id="factor-receipt")
        guess(harness, subject, recovery=(recovery.token, digests[0]))
    taken = guess(harness, subject, more=True)
    assert isinstance(taken, TryTaken)
    harness.factors.give_back(operation(), subject, taken.row)
    sent = new_reference(harness, subject)
    for _ in range(2):
        harness.factors.note_sent(SentCode(subject, "bind", sent, True, harness.ring.seal(b"n" * 40)))
    approved = ApprovedCode(subject, "bind", sent, "+1******0143", new_reference(harness, subject))
    assert harness.factors.approve_sent(operation(), approved)
    bound = harness.factors.read(subject).all[-1]
    assert harness.ring.open(bound.sealed_number or "") == b"n" * 40
    harness.factors.note_told(subject, bound, "number_added", "opted_out")
    other = new_reference(harness, new_subject(harness))  # of another number
    harness.factors.note_sent(SentCode(subject, "bind", other, True))
    second = ApprovedCode(subject, "bind", other, "+1******0144", new_reference(harness, subject))
    settled = harness.factors.approve_sent(operation(), second)
    assert settled is not None
    assert settled.others == (approved.new,)
    assert harness.factors.read(subject).untold == other.token
    for verification in (sent, other):
        harness.factors.told_all(subject, verification)
    assert harness.factors.read(subject).untold is None
    assert harness.factors.lift(subject, "a reason", bind_ms=60_000) == 1
    assert harness.factors.read(subject).lifted
    for _ in range(2):
        harness.factors.redeem(operation(), subject, ref, "factor-receipt", harness.now() + 60_000)
    codes(harness, subject)
    harness.factors.remove(operation(), subject, ref)
    guess(harness, subject)
    assert harness.factors.lift(subject, "a reason") == 1
