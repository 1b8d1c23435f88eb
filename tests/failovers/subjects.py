"""Subjects with factors: they enrol, confirm, log in by authenticator app and recovery code, and are lifted.

Whoever is refused asks again, as the same operation. What was used is tried once more, as another one, at any process.
"""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from otp_service.domain.ending import NotFound, Redeemed
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.factor_checking import (
    Confirmed,
    Enrollment,
    FactorAnswer,
    FactorApproved,
    FactorGuess,
    NewCodes,
)
from otp_service.domain.factors import FactorStatus, Subject
from otp_service.domain.ids import Reference
from otp_service.storage.schema.encodings import TriesInARow
from otp_service.storage.schema.fields import Subject as SubjectField

from ..storage.factors import FORM, new_reference, new_subject, operation, step_of
from ..storage.harness import StoreHarness

T = TypeVar("T")
PAUSE_S = 0.05
AFTER_REFUSAL_S = 0.02
PATIENCE_S = 60.0
"""How long whoever is refused goes on asking."""

HELD = 10
"""Subjects that each thread keeps for later."""

DIGEST = "0" * 32
WRONG = 3
RECEIPT_MS = 60_000


@dataclass(frozen=True, slots=True)
class Used:
    """A time step of an authenticator app, or a recovery code, that approved a login."""

    subject: Subject
    token: str
    step: int = 0
    digest: str = ""

    def guess(self) -> FactorGuess:
        """It once more, as a request of its own."""
        return FactorGuess(
            operation_id=operation(),
            subject=self.subject,
            purpose="login",
            receipt_id=operation(),
            steps=[(self.token, self.step)] if self.step else [],
            recovery=(self.token, self.digest) if self.digest else None,
        )


@dataclass
class ToldSubjects:
    """What subjects and supporters were told, which has to stay so. Safe for many threads."""

    active: list[tuple[Subject, Reference]] = field(default_factory=list)
    removed: list[tuple[Subject, Reference]] = field(default_factory=list)
    lifted: list[Subject] = field(default_factory=list)
    used: Counter[Used] = field(default_factory=Counter)
    redeemed: Counter[str] = field(default_factory=Counter)
    receipts: list[tuple[Subject, Reference, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many changes and approvals they were told of."""
        changes = len(self.active) + len(self.removed) + len(self.lifted)
        return changes + self.used.total() + self.redeemed.total()

    def steps_twice(self) -> int:
        """How many time steps were good more than once."""
        return sum(times > 1 for used, times in self.used.items() if used.step)

    def twice(self) -> int:
        """How many steps, recovery codes and receipts were good more than once."""
        return sum(times > 1 for counted in (self.used, self.redeemed) for times in counted.values())


class Subjects:
    """They live one after the other, in a thread for each process, at any of the processes."""

    def __init__(self, harnesses: Sequence[StoreHarness]) -> None:
        self.told = ToldSubjects()
        self._harnesses = harnesses
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in harnesses]

    def begin(self) -> None:
        """Let them."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Let each finish what it is about."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)

    def _run(self) -> None:
        waiting: list[tuple[Subject, Reference, Reference]] = []
        while not self._stopped.wait(PAUSE_S):
            subject = new_subject(self._harnesses[0])
            app = self._enrolled(subject)
            if app is not None:
                waiting.append((subject, app, self._codes(subject)))
            # Old enough to be on a replica when its approval is not.
            if len(waiting) > HELD:
                self._log_in(*waiting.pop(secrets.randbelow(len(waiting))))

    def _codes(self, subject: Subject) -> Reference:
        made = NewCodes(operation(), new_reference(self._harnesses[0], subject), subject, (DIGEST,))
        self._asked(lambda at: at.factors.replace_codes(made))
        self.told.active.append((subject, made.reference))
        return made.reference

    def _log_in(self, subject: Subject, app: Reference, codes: Reference) -> None:
        step = self._asked(step_of) + 1
        self._use(Used(subject, app.token, step=step), app)
        self._use(Used(subject, codes.token, digest=DIGEST), codes)
        self._lift(subject)
        if secrets.randbelow(4) == 0:
            self._remove(subject, app)

    def _enrolled(self, subject: Subject) -> Reference | None:
        """An active authenticator app; None where a failover came between its two steps."""
        first = self._harnesses[0]
        app, sealed = new_reference(first, subject), first.ring.seal(b"s" * 20)
        enrollment, confirming = Enrollment(operation(), app, subject, FORM, "Phone", sealed), operation()
        self._asked(lambda at: at.factors.enroll(enrollment))
        here = self._asked(step_of)
        steps = [here - 1, here]
        if self._asked(lambda at: at.factors.confirm(confirming, subject, app, steps)) != Confirmed():
            return None
        self.told.active.append((subject, app))
        return app

    def _use(self, used: Used, ref: Reference) -> None:
        """Log in by it, spend the receipt, and try both again."""
        guess, redeeming = used.guess(), operation()
        if isinstance(self._asked(lambda at: at.factors.check(guess)), FactorApproved):
            self.told.used[used] += 1
            self.told.receipts.append((used.subject, ref, guess.receipt_id))
            self._redeem(used.subject, ref, guess.receipt_id, redeeming)
            self._redeem(used.subject, ref, guess.receipt_id, operation())
        self._again(used)

    def _again(self, used: Used, process: StoreHarness | None = None) -> None:
        guess = used.guess()
        if isinstance(self._asked(lambda at: at.factors.check(guess), process), FactorApproved):
            self.told.used[used] += 1

    def _redeem(self, subject: Subject, ref: Reference, receipt_id: str, redeeming: str) -> None:
        def redeem(at: StoreHarness) -> Redeemed | NotFound:
            return at.factors.redeem(redeeming, subject, ref, receipt_id, at.now() + RECEIPT_MS)

        found = self._asked(redeem)
        if isinstance(found, Redeemed) and found.first:
            self.told.redeemed[receipt_id] += 1

    def _lift(self, subject: Subject) -> None:
        """Some wrong codes, which a supporter takes away."""
        for _ in range(WRONG):
            self._asked(partial(_guessed_wrong, FactorGuess(operation(), subject, "login", operation())))
        self._asked(lambda at: at.factors.lift(subject, "a reason"))
        self.told.lifted.append(subject)

    def _remove(self, subject: Subject, app: Reference) -> None:
        removing = operation()
        if self._asked(lambda at: at.factors.remove(removing, subject, app)):
            self.told.removed.append((subject, app))

    def sweep(self) -> int:
        """Try whatever was used once more, at each process; how much of what was told is not so now."""
        told = self.told
        gone = sum(self._wrong(one) > 0 for one in told.lifted)
        for used in list(told.used):
            for harness in self._harnesses:
                self._again(used, harness)
        for subject, ref, receipt_id in told.receipts:
            self._redeem(subject, ref, receipt_id, operation())
        gone += sum(self._is_active(one) for one in told.removed)
        return gone + sum(not self._is_active(one) for one in told.active if one not in told.removed)

    def _wrong(self, subject: Subject) -> int:
        """How many wrong codes in a row count against it."""
        command = ("HGET", self._harnesses[0].keys.subject(subject.hash), SubjectField.WRONG)
        (found,), _ = self._asked(lambda at: at.store.read_at([command]))
        return int(TriesInARow.parse(found)[0]) if found else 0

    def _is_active(self, told: tuple[Subject, Reference]) -> bool:
        subject, ref = told
        found = self._asked(lambda at: at.factors.read(subject))
        return any(one.reference == ref and one.status is FactorStatus.ACTIVE for one in found.all)

    def _asked(self, ask: Callable[[StoreHarness], T], process: StoreHarness | None = None) -> T:
        """Ask until there is an answer, at one process or each time at another."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return ask(process or secrets.choice(self._harnesses))
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(AFTER_REFUSAL_S)


def _guessed_wrong(guess: FactorGuess, at: StoreHarness) -> FactorAnswer:
    return at.factors.check(guess)
