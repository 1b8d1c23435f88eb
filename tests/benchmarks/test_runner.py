"""The order of the legs, and what a failure does to the others."""

import sys
from collections.abc import Iterator

import pytest

from . import __main__ as bench
from .answering_server import Server
from .load import Request
from .measure import Leg
from .programs import ProgramFailed, Programs
from .report import render
from .rows import LOADS, LoadRow, Options
from .runner import Runner, can
from .target import Kind, Pending, Stack, Target

OPTIONS = Options(rounds=2, seconds=30, warm_up_s=0, connections=(2,), generator="python", expected=1 / 3)
"""Plans of 23 requests with plenty of time: a load ends with its plan, on a busy machine too."""


class Example(Stack):
    """Every answer has the status that the requests ask for."""

    status = 201

    def start(self, number: str) -> Request:
        """A start is answered with the stack's status."""
        return Request(f"/{self.status}", number)

    def check(self, pending: Pending, code: str) -> Request:
        """A check of a wrong code is."""
        return Request("/422", code)

    def make_pending(self, count: int) -> list[Pending]:
        """Nothing is started."""
        return [Pending(next(self.numbers), "id", "123456") for _ in range(count)]


class Peer(Target):
    """A target on a running server; its own program only sleeps."""

    stack: type[Example] = Example

    def __init__(self, name: str, server: Server, status: int = 201) -> None:
        self.name, self._server, self._status = name, server, status

    def open(self, programs: Programs, *, worker: bool) -> Example:
        """Does not come up where it is to have no status."""
        if not self._status:
            raise ProgramFailed("it ended")
        programs.start("service", [sys.executable, "-c", "import time; time.sleep(60)"], {})
        stack = self.stack(programs, self._server.url, {})
        stack.status = self._status
        return stack


class Mixed(Example):
    """Every other start is refused."""

    def start(self, number: str) -> Request:
        """Odd numbers are refused."""
        return Request("/503" if int(number[1:]) % 2 else "/201", number)


class Sometimes(Peer):
    """A target that refuses every other start."""

    stack = Mixed


@pytest.fixture
def server() -> Iterator[Server]:
    """A running one."""
    with Server() as running:
        yield running


def load(word: str) -> LoadRow:
    """One of the rows."""
    return next(row for row in LOADS if row.word == word)


def run(targets: list[Target], rows: list[LoadRow]) -> tuple[list[Leg], list[str]]:
    """Legs and faults of two short rounds."""
    legs: list[Leg] = []
    faults: list[str] = []
    Runner(targets, OPTIONS, lambda _: None, legs, faults).run(rows, [])
    return legs, faults


def test_targets_take_turns_row_by_row(server: Server) -> None:
    """A B, then the next row A B, and all of it again."""
    legs, faults = run([Peer("a", server), Peer("b", server)], [load("check"), load("start")])
    assert faults == []
    assert [leg.target for leg in legs] == ["a", "b"] * 4
    assert [leg.round for leg in legs] == [1] * 4 + [2] * 4
    assert [leg.row.split(",")[0] for leg in legs] == ["check", "check", "start", "start"] * 2


def test_a_failure_ends_a_leg_and_not_the_run(server: Server) -> None:
    """A target with wrong answers, and one that does not come up, are told; the others are measured."""
    targets: list[Target] = [Peer("wrong", server, 503), Peer("absent", server, 0), Peer("good", server)]
    legs, faults = run(targets, [load("check"), load("start")])
    assert {(leg.target, leg.row.split(",")[0]) for leg in legs} == {
        ("wrong", "check"),
        ("good", "check"),
        ("good", "start"),
    }
    assert sorted(fault.partition(":")[0] for fault in faults) == ["absent"] * 2 + ["wrong"] * 2
    assert "'503'" in faults[1]


def test_a_leg_with_some_wrong_answers_is_kept_and_told(server: Server) -> None:
    """Its speed is that of the good answers; the fault says which others came."""
    legs, faults = run([Sometimes("some", server)], [load("start")])
    assert [leg.statuses for leg in legs] == [{"201": 12, "503": 11}] * 2
    assert [leg.failed for leg in legs] == [11] * 2
    assert len(faults) == 2
    assert "'503': 11" in faults[0]


def test_no_round_begins_that_would_end_too_late(server: Server) -> None:
    """The first one always runs; what is left out is said."""
    legs: list[Leg] = []
    said: list[str] = []
    options = OPTIONS._replace(rounds=5, minutes=0.0)
    Runner([Peer("a", server)], options, said.append, legs, []).run([load("start")], [])
    assert [leg.round for leg in legs] == [1]
    assert said[-1] == "no round 2: it would end after 0 minutes (--minutes)"


def test_a_report_tells_the_rounds_that_were_made(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those that were asked for."""
    monkeypatch.setattr(bench, "targets_of", lambda _: [Peer("a", server)])
    asked = ["--rows", "start", "--rounds", "5", "--seconds", "1", "--connections", "2", "--load", "python"]
    results = bench.Results({}, [], [])
    assert bench.measure(bench.build_parser().parse_args([*asked, "--minutes", "0.001"]), results) == 0
    assert "* rounds: 1 of 5" in render(results.legs, [], results.about)
    assert "rounds: 5" not in render(results.legs, [], results.about)


def test_a_target_is_not_measured_over_more_connections_than_it_is_good_for(server: Server) -> None:
    """Over the first number of a run always; the others only if it is wide enough."""
    narrow, medium = Peer("narrow", server), Peer("medium", server)
    narrow.widest, medium.widest = 0, 3
    legs: list[Leg] = []
    options = OPTIONS._replace(rounds=1, connections=(2, 3, 4))
    Runner([Peer("wide", server), medium, narrow], options, lambda _: None, legs, []).run([load("start")], [])
    assert [(leg.target, leg.row) for leg in legs] == [
        ("wide", "start, 2 connections"),
        ("medium", "start, 2 connections"),
        ("narrow", "start, 2 connections"),
        ("wide", "start, 3 connections"),
        ("medium", "start, 3 connections"),
        ("wide", "start, 4 connections"),
    ]


def test_a_row_that_needs_a_worker_is_for_those_that_have_one(server: Server) -> None:
    """Peers are not compared where they would do less."""
    peer = Peer("peer", server)
    assert not can(peer, load("start-worker"))
    assert not can(peer, load("number"))
    assert can(peer, load("login"))
    assert {row.kind for row in LOADS} == set(Kind)
