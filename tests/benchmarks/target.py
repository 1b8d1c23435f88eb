"""What a row measures: a service that is brought up with everything it needs, and the requests that load it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from . import phone_numbers
from .load import Request
from .post import post_all
from .programs import ProgramFailed, Programs


class Kind(StrEnum):
    """What the requests of a row do."""

    WRONG = "check, wrong code"
    BY_NUMBER = "check by number, wrong code"
    RIGHT = "check, right code"
    START = "start"
    KNOWN = "start, known number"
    LOGIN = "login traffic"


class Pending(NamedTuple):
    """A verification that waits for its code. The code is empty where the service does not tell it."""

    number: str
    id: str
    code: str = ""


@dataclass
class Stack(ABC):
    """A running target: its address, the headers of each request, and how to make requests for a row."""

    programs: Programs
    url: str
    headers: Mapping[str, str]
    numbers: Iterator[str] = field(default_factory=phone_numbers.numbers)

    tries: int = 19
    """Wrong codes that one verification takes before it ends."""

    @abstractmethod
    def start(self, number: str) -> Request:
        """Start a verification of a number."""

    @abstractmethod
    def check(self, pending: Pending, code: str) -> Request:
        """Check a code."""

    def check_by_number(self, pending: Pending, code: str) -> Request:
        """Check a code of the latest verification of the number."""
        raise NotImplementedError

    def begin_leg(self) -> None:  # noqa: B027 - most have nothing to do
        """Make it ready for a leg: what may work in the background, works from now on."""

    def end_leg(self) -> None:  # noqa: B027
        """Let nothing work in the background while others are measured."""

    @abstractmethod
    def make_pending(self, count: int) -> list[Pending]:
        """Verifications that wait for their codes, which are known."""

    def make_known(self, count: int) -> list[str]:
        """Numbers whose owners have logged in once. Raises ProgramFailed."""
        pending = self.make_pending(count)
        for status, _ in post_all(self.url, self._right(pending), self.headers):
            require([status], min(self.statuses(Kind.RIGHT)), "logins before a row")
        return [one.number for one in pending]

    def statuses(self, kind: Kind) -> set[int]:
        """The statuses that answers of this kind have; any other is a failure."""
        return {Kind.WRONG: {422}, Kind.BY_NUMBER: {422}, Kind.RIGHT: {200}, Kind.LOGIN: {200, 201, 422}}.get(
            kind, {201}
        )

    def starts(self, count: int) -> list[Request]:
        """Starts of new numbers."""
        return [self.start(next(self.numbers)) for _ in range(count)]

    def plan(self, kind: Kind, count: int) -> list[Request]:
        """At least this many requests of a kind."""
        if kind == Kind.START:
            return self.starts(count)
        if kind == Kind.KNOWN:
            return [self.start(number) for number in self.make_known(count)]
        if kind in (Kind.RIGHT, Kind.LOGIN):
            pending = self.make_pending(count if kind == Kind.RIGHT else count // 2)
            return self._right(pending) if kind == Kind.RIGHT else self._logins(pending)
        pending = self.make_pending(-(-count // self.tries))
        check = self.check if kind == Kind.WRONG else self.check_by_number
        return [check(one, wrong_code(one.code)) for _ in range(self.tries) for one in pending]

    def _right(self, pending: Sequence[Pending]) -> list[Request]:
        return [self.check(one, one.code) for one in pending]

    def _logins(self, pending: Sequence[Pending]) -> list[Request]:
        """For each login a start of one person and the check of another; every sixth check is wrong."""
        requests = []
        for index, one in enumerate(pending):
            requests.append(self.start(next(self.numbers)))
            requests.append(self.check(one, one.code if index % 6 else wrong_code(one.code)))
        return requests


def wrong_code(code: str) -> str:
    """Six digits that are not this code."""
    return "000000" if code != "000000" else "000001"


def require(statuses: Sequence[int], wanted: int, what: str) -> None:
    """Raise ProgramFailed unless all statuses are the wanted one."""
    others = sorted({status for status in statuses if status != wanted})
    if others:
        raise ProgramFailed(f"{what}: answered {others} instead of {wanted}")


class Target(ABC):
    """Something to measure."""

    name: str
    kinds: frozenset[Kind] = frozenset({Kind.WRONG, Kind.RIGHT, Kind.START, Kind.KNOWN, Kind.LOGIN})
    has_worker = False
    widest = 1_000_000
    """It is not measured over more connections than this, but always over the first number of a run."""

    @abstractmethod
    def open(self, programs: Programs, *, worker: bool) -> Stack:
        """Bring it up with a store of its own. With `worker` its legs run beside a worker. Raises ProgramFailed."""
