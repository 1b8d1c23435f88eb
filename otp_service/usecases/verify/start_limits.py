"""The limits of a start that do not belong to its number."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ...domain.admission import OuterAnswer
from ...domain.limits import Counted, counts_by_caller, outer_limits, slots
from ...domain.phone import Phone
from ...domain.policy import LimitEvent, Policy, Slot
from ...domain.starting import StartCommand, Started
from .outer_answers import refusing, refusing_with_caller
from .start_request import StartRequest

Slots = Callable[[StartCommand, StartRequest, Phone], Sequence[Slot]]
"""The slots that a start takes in the limits."""


class SlotsOfStarts:
    """Finds the limits that a start meets. `digest`: a keyed hash for what it is counted by."""

    def __init__(self, policy: Policy, digest: Callable[[bytes], bytes]) -> None:
        events = (LimitEvent.START, LimitEvent.SEND)
        self._limits = {name: outer_limits(policy, app, *events) for name, app in policy.apps.items()}
        self._of_all = {
            name: tuple(one for one in limits if not counts_by_caller(one)) for name, limits in self._limits.items()
        }
        self._digest = digest

    def __call__(self, command: StartCommand, request: StartRequest, to: Phone) -> Sequence[Slot]:
        """A slot in each rule of each limit that applies."""
        says = request.client_ip is not None or request.device_id is not None or request.limit_keys
        limits = (self._limits if says else self._of_all)[command.app.name]
        return slots(limits, _counted(command, request, to), self._digest) if limits else ()


def _counted(command: StartCommand, request: StartRequest, to: Phone) -> Counted:
    return Counted(
        app=command.app.name,
        number=command.reference.number_hash,
        client_ip=request.client_ip,
        device=request.device_id,
        custom=request.limit_keys,
        e164=to.e164,
        country=to.region or f"+{to.country_code}",
        sender=command.route[0].name,
    )


class StartLimits:
    """A part of the admission. `exceeded` is told of limits that refuse nothing and would have (see `Exceeded`)."""

    def __init__(self, slots_of: Slots, exceeded: Callable[[str, str, str, str, int], object]) -> None:
        self._slots_of = slots_of
        self._exceeded = exceeded

    def wanted(self, command: StartCommand, request: StartRequest, to: Phone) -> Sequence[Slot]:
        """A slot in each limit that applies."""
        return self._slots_of(command, request, to)

    def told(self, command: StartCommand, answers: Sequence[OuterAnswer]) -> StartCommand:
        """The longest wait, and whose it is: a caller who obeys it passes."""
        worst = refusing(answers)
        if worst is not None:
            told = replace(command, outer_wait_ms=worst.wait_ms, outer_limit=worst.wanted.name)
            return replace(told, outer_refusing=refusing_with_caller(answers))
        of_send = [one for one in answers if not one.wait_ms and _is_of_send(one)]
        return replace(command, send_slots=of_send) if of_send else command

    def kept(self, answers: Sequence[OuterAnswer], started: Started) -> Sequence[OuterAnswer]:
        """All of them, but for a repeat of an earlier start."""
        if started.replayed:
            return ()
        for one in answers:
            if one.wait_ms:
                number_hash = started.reference.number_hash
                self._exceeded(number_hash, started.mask, started.app, one.wanted.name, one.wait_ms)
        return answers


def _is_of_send(answer: OuterAnswer) -> bool:
    return isinstance(answer.wanted, Slot) and answer.wanted.of_send
