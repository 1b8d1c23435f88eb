"""The limits of a start that do not belong to its number."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ...domain.admission import OuterAnswer
from ...domain.phone import Phone
from ...domain.policy import Slot
from ...domain.starting import StartCommand, Started
from .start_request import StartRequest


class StartLimits:
    """A part of the admission. `slots`: what a start takes in the limits."""

    def __init__(self, slots: Callable[[StartCommand, StartRequest, Phone], Sequence[Slot]]) -> None:
        self._slots = slots

    def wanted(self, command: StartCommand, request: StartRequest, to: Phone) -> Sequence[Slot]:
        """A slot in each limit that applies."""
        return self._slots(command, request, to)

    def told(self, command: StartCommand, answers: Sequence[OuterAnswer]) -> StartCommand:
        """The longest wait, and whose it is: a caller who obeys it passes."""
        longest = max(answers, key=lambda one: one.wait_ms)
        if not longest.wait_ms:
            return command
        return replace(command, outer_wait_ms=longest.wait_ms, outer_limit=longest.wanted.name)

    def kept(self, answers: Sequence[OuterAnswer], started: Started) -> Sequence[OuterAnswer]:
        """All of them, but for a repeat of an earlier start."""
        return () if started.replayed else answers
