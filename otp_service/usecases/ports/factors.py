"""Where the factors of subjects are stored, with the one budget of wrong codes over all of them."""

from collections.abc import Sequence
from typing import Protocol

from ...domain.ending import NotFound, Redeemed
from ...domain.factor_checking import (
    ApprovedCode,
    ConfirmAnswer,
    Enrolled,
    Enrollment,
    FactorAnswer,
    FactorGuess,
    NewCodes,
    SentCode,
    Settled,
    TooManyFactors,
)
from ...domain.factors import Authenticator, Factor, Factors, Subject
from ...domain.ids import Reference


class FactorStore(Protocol):
    """The factors of all subjects. Each method that changes one is a single atomic step on the subject's shard."""

    def read(self, subject: Subject) -> Factors:
        """All factors; none of a subject that is not known, or is another app's."""
        ...

    def enrollment(self, subject: Subject, ref: Reference) -> tuple[Authenticator, int] | None:
        """An authenticator app that can still be confirmed, and the store's time; None if there is none."""
        ...

    def enroll(self, enrollment: Enrollment) -> Enrolled | TooManyFactors:
        """Write down an authenticator app that is to be confirmed."""
        ...

    def confirm(self, operation_id: str, subject: Subject, ref: Reference, steps: Sequence[int]) -> ConfirmAnswer:
        """Make it active if one of these time steps may be used."""
        ...

    def rename(self, subject: Subject, ref: Reference, label: str) -> bool:
        """Give a factor another label; whether there is such a factor."""
        ...

    def remove(self, operation_id: str, subject: Subject, ref: Reference) -> bool:
        """Remove a factor; whether there was one."""
        ...

    def replace_codes(self, codes: NewCodes) -> int:
        """Store new recovery codes in place of all that the subject had; when, in Unix milliseconds."""
        ...

    def check(self, guess: FactorGuess) -> FactorAnswer:
        """Take a try, compare, and consume a step or a recovery code."""
        ...

    def note_sent(self, sent: SentCode) -> None:
        """Remember the code that was sent to a subject last for a purpose."""
        ...

    def note_told(self, subject: Subject, factor: Factor, notice: str, refused_by: str) -> None:
        """Record that the person was told at this number, or by which refusal not."""
        ...

    def told_all(self, subject: Subject, verification: Reference) -> None:
        """Remember that all others were told of the number that this verification bound."""
        ...

    def approve_sent(self, operation_id: str, approved: ApprovedCode) -> Settled | None:
        """End the row of wrong codes, and bind the number where that is allowed: its factor.

        None where the number is not bound and may not be: then the approval opens nothing.
        """
        ...

    def give_back(self, operation_id: str, subject: Subject, row: int) -> None:
        """Give back a try that was taken in this row, for what was no judgement."""
        ...

    def redeem(
        self, operation_id: str, subject: Subject, ref: Reference, receipt_id: str, ends_ms: int
    ) -> Redeemed | NotFound:
        """Spend the receipt of an approval by a factor, which is good until `ends_ms`."""
        ...
