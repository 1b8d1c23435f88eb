"""Two processes of the service and their callers, who keep a journal of what they were told."""

import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TypeVar

from otp_service.domain.checking import Approved, CheckAnswer
from otp_service.domain.ending import NotFound
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.ids import Reference
from otp_service.domain.starting import Started
from otp_service.storage.background import BackgroundReading
from otp_service.storage.factors import FactorTable
from otp_service.storage.replica_guard import ReplicaGuard
from otp_service.storage.replicas import Replicas
from otp_service.storage.store_runs import StoreRuns
from otp_service.storage.told import Told
from otp_service.storage.verifications import Verifications

from ..storage.harness import CODE, StoreHarness, fresh_number
from .others import Acts, Operators, ToldOthers
from .subjects import Subjects

THREADS = 4
T = TypeVar("T")
PAUSE_S = 0.005
AFTER_REFUSAL_S = 0.02
ENDS = (Acts.cancel, Acts.deny)
ENDED_ONE_IN = 20
HELD = 30
"""Codes that each caller keeps for later."""


class Process:
    """The parts of an API that decide, with connections of their own."""

    def __init__(self, url: str, after_restart: str, replicas: int | None) -> None:
        self.harness = StoreHarness.open(url)
        harness, told = self.harness, Told()
        guard = harness.scripts.guard = ReplicaGuard()
        counting = Replicas(harness.store, harness.scripts, harness.keys, guard, replicas)
        runs = StoreRuns(harness.store, harness.scripts, harness.keys, told, after_restart)
        self.verifications = Verifications(harness.store, harness.scripts, harness.keys, harness.ring.ids, told)
        harness.factors = FactorTable(harness.store, harness.scripts, harness.keys, harness.ring.ids, told)
        self._reading = BackgroundReading([runs.look, counting.look])
        self._reading.start()

    def close(self) -> None:
        """End its connections."""
        self._reading.stop()
        self.harness.close()


class Journal:
    """What callers were told. Safe for many threads."""

    def __init__(self) -> None:
        self.accepted: list[tuple[float, Reference]] = []
        self.approved: Counter[Reference] = Counter()
        self.refusals_s: list[float] = []
        self.began = self.ended = time.monotonic()

    def twice(self) -> int:
        """How many codes were approved more than once."""
        return sum(times > 1 for times in self.approved.values())

    def longest_gap_s(self) -> float:
        """The longest time without an accepted start."""
        moments = sorted([self.began, *(at for at, _ in self.accepted), self.ended])
        return max(later - before for before, later in pairwise(moments))


class Callers:
    """They start verifications and use the codes later. Who is refused asks again, as the same operation."""

    def __init__(self, processes: list[Process]) -> None:
        self.journal = Journal()
        self.told = ToldOthers()
        self._processes = processes
        self._acts = [Acts(process.harness, self.told) for process in processes]
        self._operators = Operators(self._acts)
        self.subjects = Subjects([process.harness for process in processes])
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(process,), daemon=True)
            for process in processes
            for _ in range(THREADS)
        ]

    def begin(self) -> None:
        """Let them call."""
        self._operators.begin()
        self.subjects.begin()
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Let each finish what it is about."""
        self._stopped.set()
        self.journal.ended = time.monotonic()
        self._operators.finish()
        self.subjects.finish()
        for thread in self._threads:
            thread.join(60)

    def _call(self, process: Process) -> None:
        command = process.harness.start_command(fresh_number())
        unused: deque[Reference] = deque()
        while not self._stopped.wait(PAUSE_S):
            answer = self._asked(partial(process.verifications.start, command))
            if isinstance(answer, Started):
                self.journal.accepted.append((time.monotonic(), answer.reference))
                unused.append(answer.reference)
            if answer is not None:
                command = process.harness.start_command(fresh_number())
            # Old enough to be on a replica when its approval is not.
            if len(unused) > HELD:
                self._use(unused)

    def _use(self, unused: deque[Reference]) -> None:
        """Use one of the codes, at any process. Who is refused keeps it."""
        at = secrets.randbelow(len(unused))
        unused.rotate(-at)
        if self._used(secrets.choice(self._acts), unused[0]):
            unused.popleft()

    def _used(self, acts: Acts, ref: Reference) -> bool:
        """Most are approved; some are canceled, and some denied. Whether there was an answer."""
        act = secrets.randbelow(ENDED_ONE_IN)
        if act < len(ENDS):
            return self._asked(partial(ENDS[act], acts, ref)) is not None
        return self.check(secrets.choice(self._processes), ref) is not None

    def check(self, process: Process, ref: Reference) -> CheckAnswer | None:
        """One guess that is right, as a request of its own; None if it was refused. A receipt is spent at once."""
        answer = self._asked(partial(process.verifications.check, process.harness.guess(ref, CODE)))
        if isinstance(answer, Approved):
            self.journal.approved[ref] += 1
            self._asked(partial(secrets.choice(self._acts).redeem, ref, answer))
        return answer

    def _asked(self, ask: Callable[[], T]) -> T | None:
        began = time.monotonic()
        try:
            return ask()
        except StoreUnavailable:
            self.journal.refusals_s.append(time.monotonic() - began)
            return None

    def sweep(self) -> tuple[int, int]:
        """Try whatever was ever accepted once more, at each process; how many starts, and how many of the rest, are
        unknown now."""
        unknown = 0
        for _, ref in self.journal.accepted:
            answers = [self._until(partial(self.check, process, ref)) for process in self._processes]
            unknown += any(isinstance(answer, NotFound) for answer in answers)
        for ref in list(self.told.receipts):
            self._until(partial(self._asked, partial(self._acts[0].redeem_again, ref)))
        forgotten = self._until(partial(self._asked, self._acts[0].forgotten))
        return unknown, forgotten + sum(bool(self.journal.approved[ref]) for ref in self.told.ended)

    @staticmethod
    def _until(ask: Callable[[], T | None]) -> T:
        """Ask until there is an answer."""
        deadline = time.monotonic() + 60
        while (answer := ask()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError("The store does not answer any more.")
            time.sleep(AFTER_REFUSAL_S)
        return answer
