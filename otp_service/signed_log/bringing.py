"""What is brought where: checkpoints to a URL, and to witnesses by the protocol of C2SP tlog-witness."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..ledger.database import Database
from ..transparency.notes import Note, NoteError, SignatureLine, VerifierKey
from ..transparency.tree import Tree
from ..transparency.witnessing import Submission
from .log_store import LogStore, SignedCheckpoint
from .outlets import NotTaken
from .reading import LogReader
from .stored_tiles import StoredTiles

MEDIA = "text/plain; charset=utf-8"
WITNESS_EVERY_MS = 10_000


class Answer(Protocol):
    """What came back."""

    @property
    def status(self) -> int:
        """Of HTTP."""
        ...

    @property
    def body(self) -> bytes:
        """Bounded."""
        ...


Post = Callable[[bytes, str], Answer]
"""Posts bytes of this media type. Raises ServiceError."""


@dataclass(frozen=True, slots=True)
class ToAddress:
    """Posts each newest checkpoint with its cosignatures; any status 2xx says that it arrived."""

    database: Database
    post: Post
    every_ms: int
    target: str = "checkpoint_url"

    def bring(self, newest: SignedCheckpoint) -> None:
        """Raises NotTaken, ServiceError."""
        with self.database.reading() as connection:
            note = LogStore(connection).published(newest)
        answer = self.post(note.encode(), MEDIA)
        if not 200 <= answer.status < 300:
            raise NotTaken(f"it answers with status {answer.status}")


class ToWitness:
    """Brings checkpoints to one witness, and publishes its cosignatures."""

    every_ms = WITNESS_EVERY_MS

    def __init__(
        self,
        database: Database,
        key: VerifierKey,
        post: Post,
        now_ms: Callable[[], int],
        added: Callable[[VerifierKey], object],
    ) -> None:
        """`key`: no other cosignature is taken. `added` puts on record that the witness is new."""
        self._database = database
        self._key = key
        self._post = post
        self._now_ms = now_ms
        self._added = added

    @property
    def target(self) -> str:
        """Its name."""
        return f"witness {self._key.name}"

    def bring(self, newest: SignedCheckpoint) -> None:
        """First what an old key signed last, since it names the next key. Raises NotTaken, ServiceError."""
        old, wanted = self._wanted(newest)
        for signed in wanted:
            old = self._cosigned(signed, old, is_newest=signed is newest)

    def _wanted(self, newest: SignedCheckpoint) -> tuple[int, Sequence[SignedCheckpoint]]:
        """The size that it cosigned last as far as is known here, and what it did not cosign yet."""
        with self._database.reading() as connection:
            log = LogStore(connection)
            last, size = log.cosigned_by(str(self._key))
            return size, [*log.rotations_after(last), newest]

    def _cosigned(self, signed: SignedCheckpoint, old: int, *, is_newest: bool) -> int:
        """The size that it has cosigned then; more than this one's where it knows a later one."""
        if old > signed.size and not is_newest:
            return old
        answer = self._submit(signed, old)
        if answer.status == 409:
            told = _size_of(answer)
            if told > signed.size and not is_newest:
                return told
            if told > signed.size or told == old:
                raise NotTaken(f"it cosigned another history, or a longer one: {told} records")
            answer = self._submit(signed, told)
        if answer.status != 200:
            raise NotTaken(f"it does not cosign {signed.size} records: status {answer.status}")
        self._take(signed, answer)
        return signed.size

    def _take(self, signed: SignedCheckpoint, answer: Answer) -> None:
        note = Note.parse(signed.note)
        try:
            lines = [SignatureLine.parse(line) for line in answer.body.decode().splitlines()]
            whole = note.with_signature(*(line for line in lines if line.is_of(self._key)))
            is_new = LogReader(self._database).take_cosignature(str(self._key), str(whole), self._now_ms())
        except (UnicodeDecodeError, NoteError) as error:
            raise NotTaken(f"its answer is not taken: {error}") from error
        if is_new:
            self._added(self._key)

    def _submit(self, signed: SignedCheckpoint, old: int) -> Answer:
        path: Sequence[bytes] = ()
        if 0 < old < signed.size:
            with self._database.reading() as connection:
                path = Tree(StoredTiles(connection)).consistency(old, signed.size)
        return self._post(str(Submission(old, tuple(path), signed.note)).encode(), MEDIA)


def _size_of(answer: Answer) -> int:
    """The size that the witness says it has cosigned last. Raises NotTaken."""
    text = answer.body[:24].strip()
    if not text.isdigit():
        raise NotTaken("it refuses, and does not say what it cosigned last")
    return int(text)
