"""What a start takes apart from its number: all of it in one round trip before the number's step.

Each part says what it wants, and writes into the command what the answers mean. The step of the number decides; what
was taken for a start that it refuses is given back. The budgets of the pumping guard are asked by `GuardedStarts`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ...domain.admission import OuterAnswer, Wanted
from ...domain.errors import StoreUnavailable
from ...domain.phone import Phone
from ...domain.starting import StartCommand, Started, StartRefused, WouldSend
from .. import ports
from ..guard import GuardedStarts
from .start_request import StartRequest


class Part(Protocol):
    """One kind of reason that may refuse a start apart from its number."""

    def wanted(self, command: StartCommand, request: StartRequest, to: Phone) -> Sequence[Wanted]:
        """What this start takes. Nothing, where nothing applies."""
        ...

    def told(self, command: StartCommand, answers: Sequence[OuterAnswer]) -> StartCommand:
        """The command with what the answers mean for the step of the number."""
        ...

    def kept(self, answers: Sequence[OuterAnswer], started: Started) -> Sequence[OuterAnswer]:
        """What stays taken after this start."""
        ...


_Ask = Callable[[Sequence[Wanted]], Sequence[OuterAnswer]]
_Asked = Sequence[tuple[Part, Sequence[OuterAnswer]]]


class Admission:
    """Runs starts. Safe for many threads."""

    def __init__(self, *, store: GuardedStarts, outer: ports.OuterStore, parts: Sequence[Part]) -> None:
        self._store = store
        self._outer = outer
        self._parts = parts

    def start(self, command: StartCommand, request: StartRequest, to: Phone) -> Started | StartRefused:
        """Take what the start wants, and run the step. Raises StoreUnavailable.

        A start that may have been written, though no answer came, keeps what was taken for it.
        """
        asked = self._ask(command, request, to, self._outer.take)
        try:
            outcome = self._store.start(_told(command, asked))
        except StoreUnavailable as error:
            if error.nothing_written:
                self._give_back(asked, None)
            raise
        self._give_back(asked, outcome)
        return outcome

    def _give_back(self, asked: _Asked, outcome: Started | StartRefused | None) -> None:
        back = list(_given_back(asked, outcome))
        if back:
            self._outer.give_back(back)

    def would_start(self, command: StartCommand, request: StartRequest, to: Phone) -> WouldSend | StartRefused:
        """What `start` would do; nothing is taken. Raises StoreUnavailable."""
        return self._store.would_start(_told(command, self._ask(command, request, to, self._outer.look)))

    def _ask(self, command: StartCommand, request: StartRequest, to: Phone, ask: _Ask) -> _Asked:
        wanted = [(part, part.wanted(command, request, to)) for part in self._parts]
        every = [one for _, ones in wanted for one in ones]
        answers = iter(ask(every) if every else ())
        return [(part, [next(answers) for _ in ones]) for part, ones in wanted if ones]


def _told(command: StartCommand, asked: _Asked) -> StartCommand:
    for part, answers in asked:
        command = part.told(command, answers)
    return command


def _given_back(asked: _Asked, outcome: Started | StartRefused | None) -> Iterable[OuterAnswer]:
    for part, answers in asked:
        kept = part.kept(answers, outcome) if isinstance(outcome, Started) else ()
        yield from (one for one in answers if not one.wait_ms and one not in kept)
