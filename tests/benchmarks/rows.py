"""The rows of the bench: what is measured, and on which stack."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from .measure import Leg, Shape, run
from .ours import OtpService
from .target import Kind, Stack


class LoadRow(NamedTuple):
    """A load of one kind of request on every target that can do it."""

    word: str
    kind: Kind
    worker: bool
    about: str
    only_worker: bool = False
    wide: bool = False
    """Whether it is measured over each number of connections, not over the first only."""


LOADS = (
    LoadRow("start-known", Kind.KNOWN, False, "starts of numbers that have logged in before, no worker"),
    LoadRow("check", Kind.WRONG, False, "checks of wrong codes by the verification's id", wide=True),
    LoadRow("number", Kind.BY_NUMBER, False, "checks of wrong codes by number"),
    LoadRow("start", Kind.START, False, "starts of new numbers, no worker", wide=True),
    LoadRow("right", Kind.RIGHT, True, "checks of right codes"),
    LoadRow("login", Kind.LOGIN, True, "a start and a check each, every sixth check wrong"),
    LoadRow("start-worker", Kind.START, True, "starts of new numbers while a worker sends", only_worker=True),
)
"""In the order in which they run on a stack: the first needs an empty queue for its logins, the last leaves one."""


EXPECTED_OF_CODES, MOST_CODES = 200.0, 3_000
"""A code is known when its message was sent, which takes longer than the check: such legs end with their plan."""


class Options(NamedTuple):
    """How long and how often, and over how many connections."""

    rounds: int = 3
    seconds: int = 3
    warm_up_s: int = 1
    connections: Sequence[int] = (16, 64, 1000)
    live: Sequence[int] = (10_000, 100_000, 1_000_000)
    sends: int = 3_000
    waiting: int = 10_000
    primaries: Sequence[int] = (1, 2, 3)
    generator: str | None = None
    expected: float = 3_000.0
    minutes: float = 12.0
    """No round is begun that would end later than this, if it takes as long as the longest before it."""


Say = Callable[[str], None]


def shapes(load: LoadRow, options: Options) -> list[Shape]:
    """The legs of a row: one for each number of connections."""
    several = options.connections if load.wide else options.connections[:1]
    shape = Shape(0, options.seconds, options.warm_up_s, options.expected)
    if load.kind in (Kind.RIGHT, Kind.LOGIN, Kind.KNOWN):
        shape = shape._replace(expected_per_s=min(options.expected, EXPECTED_OF_CODES), most=MOST_CODES)
    return [shape._replace(connections=number) for number in several]


def measure_load(load: LoadRow, shape: Shape, stack: Stack, name: tuple[str, int], generator: str | None) -> Leg:
    """One leg of a row on one stack. `name` is target and round. Raises Wrong, ProgramFailed or OSError."""
    row = f"{load.kind}{', worker on' if load.only_worker else ''}, {shape.connections} connections"
    stack.begin_leg()
    try:
        return run(stack, load.kind, shape, (row, *name), generator)
    finally:
        stack.end_leg()


class OwnRow(NamedTuple):
    """A row that only otp-service has. `once`: one round is enough. Without `stack` it brings up what it needs."""

    word: str
    about: str
    measure: Callable[[OtpService, Any, Options, int], Iterable[Leg]]
    """Called with a stack of its own, or with None."""
    once: bool = False
    stack: bool = True
    serve: Sequence[str] = ()
    """Options of `serve` for this row."""
