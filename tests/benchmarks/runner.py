"""Bringing up the targets, round by round, and collecting what each leg gives."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from .measure import Leg, Shape, Wrong
from .ours import OtpService
from .programs import ProgramFailed, programs_in_a_folder
from .rows import LoadRow, Options, OwnRow, Say, measure_load, shapes
from .target import Stack, Target

FAILURES = (Wrong, ProgramFailed, OSError, TimeoutError)


class Runner:
    """Runs rows on targets. `legs` and `faults` grow as it goes, so that an interrupted run keeps what it has."""

    def __init__(
        self, targets: Sequence[Target], options: Options, say: Say, legs: list[Leg], faults: list[str]
    ) -> None:
        self.targets = targets
        self.options = options
        self.legs = legs
        self.faults = faults
        self._say = say

    def run(self, loads: Sequence[LoadRow], own: Sequence[OwnRow]) -> None:
        """All rounds: in each of them one target after the other, row by row (A B A B)."""
        began, longest = time.monotonic(), 0.0
        for number in range(1, self.options.rounds + 1):
            at = time.monotonic()
            if number > 1 and at - began + longest > self.options.minutes * 60:
                self._say(f"no round {number}: it would end after {self.options.minutes:.0f} minutes (--minutes)")
                return
            self._round(loads, [row for row in own if not row.once], number)
            longest = max(longest, time.monotonic() - at)
            if number == 1:
                self._round([], [row for row in own if row.once], number)

    def _round(self, loads: Sequence[LoadRow], own: Sequence[OwnRow], number: int) -> None:
        for worker in (False, True):
            self._loads([load for load in loads if load.worker == worker], number, worker=worker)
        for row in own:
            self._own(row, number)

    def _loads(self, loads: Sequence[LoadRow], number: int, *, worker: bool) -> None:
        """Every target has a new stack in each round. All are up together, so that two legs of a row are near."""
        able = [target for target in self.targets if any(can(target, load) for load in loads)]
        with ExitStack() as opened:
            stacks: dict[Target, Stack] = {}
            for target in able:
                with self._reporting(target):
                    stacks[target] = target.open(opened.enter_context(programs_in_a_folder()), worker=worker)
            for load in loads:
                for shape in shapes(load, self.options):
                    self._say(f"round {number}: {load.word}, {shape.connections} connections")
                    for target, stack in stacks.items():
                        if shape.connections <= max(target.widest, self.options.connections[0]):
                            self._load(load, shape, target, stack, number)

    def _load(self, load: LoadRow, shape: Shape, target: Target, stack: Stack, number: int) -> None:
        if can(target, load):
            with self._reporting(target):
                leg = measure_load(load, shape, stack, (target.name, number), self.options.generator)
                self.legs.append(leg)
                if leg.failed:
                    raise Wrong(f"{leg.row}: {leg.statuses}, {leg.errors} without an answer")

    def _own(self, row: OwnRow, number: int) -> None:
        self._say(f"round {number}: {row.word}")
        for target in self.targets:
            if isinstance(target, OtpService):
                with self._reporting(target), programs_in_a_folder() as programs:
                    stack = target.open(programs, worker=False, serve=row.serve) if row.stack else None
                    self.legs.extend(row.measure(target, stack, self.options, number))

    @contextmanager
    def _reporting(self, target: Target) -> Iterator[None]:
        """A failure ends a leg, not the run."""
        try:
            yield
        except FAILURES as error:
            self.faults.append(f"{target.name}: {error}")
            self._say(f"{target.name}: {error}")


def can(target: Target, load: LoadRow) -> bool:
    """Whether the target has what the row needs."""
    return load.kind in target.kinds and (target.has_worker or not load.only_worker)
