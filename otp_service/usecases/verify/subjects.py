"""What a start and a check do on the shard of the subject whom they name.

A try is taken there before a guess is judged on the number's shard. An approval ends the row of wrong codes; what was
no judgement gives the try back. A process that dies in between costs one try, and adds none.
"""

from collections.abc import Callable

from ...domain.checking import Approved
from ...domain.errors import Refusal
from ...domain.factor_checking import ApprovedCode, FactorGuess, SentCode, Settled, TriesSpent, TryTaken
from ...domain.factors import Factors, Subject
from ...domain.ids import NUMBER_HASH_BYTES, Reference
from ...domain.policy import App
from .. import ports
from ..subjects import Subjects
from .refusals import tries_spent
from .tell_numbers import TellNumbers

NOT_BOUND = Refusal(
    "number_not_bound",
    "This number is not bound to the subject. Bind it first: purpose bind, with a receipt of the subject as proof.",
)
BIND = "bind"


class SubjectTries:
    """The budget of a subject, for codes that are sent to its numbers."""

    def __init__(
        self, store: ports.FactorStore, vault: ports.Vault, token_bytes: Callable[[int], bytes], tell: TellNumbers
    ) -> None:
        self._tell = tell
        self._store = store
        self._ids = vault.ids
        self._subjects = Subjects(vault)
        self._token_bytes = token_bytes

    def of(self, app: str, text: str) -> tuple[Subject, Factors]:
        """The subject that a caller names, and its factors. Raises InvalidRequest and StoreUnavailable."""
        subject = self._subjects.of(app, text)
        return subject, self._store.read(subject)

    def finish(self, app: App, subject: Subject, factors: Factors) -> None:
        """What is still to be told to the subject's numbers."""
        self._tell.finish(app, subject, factors)

    def hash_of(self, app: str, text: str) -> str:
        """The keyed hash of the subject that a caller names. Raises InvalidRequest."""
        return self._subjects.of(app, text).hash

    def named(self, app: str, subject_hash: str) -> Subject:
        """The subject of a keyed hash."""
        return self._subjects.named(app, subject_hash)

    def sent(self, sent: SentCode) -> None:
        """Remember the code that was sent. Raises StoreUnavailable."""
        self._store.note_sent(sent)

    def take(self, subject: Subject, ref: Reference) -> TryTaken | Refusal:
        """Take a try before the code of this verification is judged. Raises StoreUnavailable.

        A code that may not open the account is not judged: its verification would be approved, and say so in events,
        callbacks and to whoever reads it.
        """
        if not self._store.read(subject).open_to(ref):
            return NOT_BOUND
        guess = FactorGuess(self._operation(), subject, "", self._operation(), more=True)
        answer = self._store.check(guess)
        if isinstance(answer, TriesSpent):
            return tries_spent(answer)
        assert isinstance(answer, TryTaken)
        return answer

    def approve(self, app: App, subject: Subject, ref: Reference, approved: Approved) -> Settled | Refusal:
        """The factor of the number, which is bound to the subject now; or why this opens nothing.

        Other numbers of the subject are told if this one was bound by it.
        """
        approval = approved.approval
        new = self._ids.new(subject.hash, self._token_bytes(NUMBER_HASH_BYTES))
        code = ApprovedCode(
            subject,
            approval.purpose,
            ref,
            approval.to,
            new,
            approved.at_ms,
            approved.replayed,
            approval.test is True,
        )
        # The id of the approval's receipt is the same whenever it is told again.
        settled = self._store.approve_sent(approved.receipt_id, code)
        if settled is None:
            return NOT_BOUND
        if settled.others:
            self._tell.added(app, subject, ref, settled.others)
        return settled

    def give_back(self, subject: Subject, taken: TryTaken) -> None:
        """What was asked was no judgement. Raises StoreUnavailable."""
        self._store.give_back(self._operation(), subject, taken.row)

    def _operation(self) -> str:
        return self._token_bytes(8).hex()
