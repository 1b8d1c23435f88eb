"""Bringing up the targets one after the other, round by round, and collecting what each leg gives."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from .measure import Leg, Wrong
from .ours import OtpService
from .programs import ProgramFailed, Programs
from .rows import LoadRow, Options, OwnRow, Say, load_legs
from .target import Target

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
        """All rounds, in each of them one target after the other: A B A B."""
        for number in range(1, self.options.rounds + 1):
            for target in self.targets:
                for worker in (False, True):
                    self._loads(target, [load for load in loads if load.worker == worker], worker, number)
                if isinstance(target, OtpService):
                    for row in own:
                        if number == 1 or not row.once:
                            self._own(target, row, number)

    def _loads(self, target: Target, loads: Sequence[LoadRow], worker: bool, number: int) -> None:
        able = [load for load in loads if load.kind in target.kinds and (target.has_worker or not load.only_worker)]
        if not able:
            return

        def legs(programs: Programs) -> Iterable[Leg]:
            stack = target.open(programs, worker=worker)
            return load_legs(target, stack, able, self.options, number, self._say)

        self._collect(target, legs)

    def _own(self, target: OtpService, row: OwnRow, number: int) -> None:
        def legs(programs: Programs) -> Iterable[Leg]:
            self._say(f"round {number}: {target.name}: {row.about}")
            return row.measure(target, target.open(programs, worker=False), self.options, number)

        self._collect(target, legs)

    def _collect(self, target: Target, legs: Callable[[Programs], Iterable[Leg]]) -> None:
        with tempfile.TemporaryDirectory(prefix="otp-bench-") as folder, Programs(Path(folder)) as programs:
            try:
                for leg in _each(legs, programs):
                    self.legs.append(leg)
            except FAILURES as error:
                self.faults.append(f"{target.name}: {error}")
                self._say(f"{target.name}: {error}")


def _each(legs: Callable[[Programs], Iterable[Leg]], programs: Programs) -> Iterator[Leg]:
    yield from legs(programs)
