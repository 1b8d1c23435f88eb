"""Both load generators: the same plan, the same result."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import needs_program

from . import load, open_loop, post
from .answering_server import HEAD, Server
from .load_client import Answers
from .programs import ProgramFailed

PLENTY_S = {"wrk": 3, "python": 30}
"""For a plan of some dozen requests: on a busy machine, too, it is sent in full. wrk goes on to the end of the time."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A running one."""
    with Server() as running:
        yield running


@pytest.fixture(params=["wrk", "python"])
def generator(request: pytest.FixtureRequest) -> str:
    """Each of the generators, wrk only where it is installed."""
    name = str(request.param)
    if name == "wrk":
        needs_program("wrk")
    return name


def test_a_plan_is_sent_once_and_in_full(server: Server, generator: str, tmp_path: Path) -> None:
    """Each request of the plan once, statuses counted, over several connections."""
    plan = [load.Request("/422", str(index)) for index in range(40)] + [load.Request("/200", "last")]
    result = load.run(load.Job(server.url, plan, {"X-A": "b"}, 4, PLENTY_S[generator]), tmp_path, generator)
    assert result.errors == 0
    # wrk makes its first request twice and asks for one more at the end, which may be sent.
    assert 36 <= result.requests <= 45
    assert set(result.statuses) <= {"422", "200"}
    assert result.statuses["422"] >= 36
    assert len({*server.bodies}) >= 40
    assert 0 < result.p50_ms <= result.p99_ms <= result.max_ms
    # It is the time to the last answer, and the load was for longer.
    assert 0 < result.seconds < PLENTY_S[generator]


def test_a_plan_that_begins_again_fills_the_time(server: Server, generator: str, tmp_path: Path) -> None:
    """As many requests as go into the time."""
    result = load.run(load.Job(server.url, [load.Request("/200", "x")], {}, 2, 1, again=True), tmp_path, generator)
    assert result.requests > 50
    assert result.per_second == pytest.approx(result.requests / result.seconds)


def test_a_server_that_closes_after_each_answer_is_no_error(server: Server, generator: str, tmp_path: Path) -> None:
    """The generator opens another connection, as for gunicorn's plain workers."""
    plan = [load.Request("/close", "x")] * 30
    result = load.run(load.Job(server.url, plan, {}, 2, PLENTY_S[generator]), tmp_path, generator)
    assert result.errors == 0
    assert result.requests >= 26
    assert post.post_all(server.url, plan, {}, 3) == [(200, b"{}")] * 30


def test_requests_before_a_row_are_answered_in_order(server: Server) -> None:
    """Statuses and bodies belong to their requests."""
    plan = [load.Request("/201" if index % 2 else "/200", str(index)) for index in range(20)]
    assert [status for status, _ in post.post_all(server.url, plan, {}, 4)] == [200, 201] * 10


def test_a_fixed_rate_is_kept(server: Server) -> None:
    """Requests are due at even distances, and each is timed from then on."""
    timed = open_loop.run(server.url, [load.Request("/200", "x")] * 20, {}, per_s=200)
    assert [one.answer[0] for one in timed] == [200] * 20
    distances = {after.due_ns - before.due_ns for before, after in itertools.pairwise(timed)}
    assert distances <= {4_999_999, 5_000_000, 5_000_001}
    assert all(one.answered_ns > one.due_ns for one in timed)


def test_answers_are_cut_from_any_pieces() -> None:
    """Byte by byte or all at once: the same answers."""
    stream = HEAD % (422, 3, b"") + b"abc" + HEAD % (200, 0, b"Connection: close\r\n")
    at_once, piecewise = Answers(), Answers()
    assert at_once.feed(stream) == [(422, b"abc"), (200, b"")]
    assert [one for index in range(len(stream)) for one in piecewise.feed(stream[index : index + 1])] == [
        (422, b"abc"),
        (200, b""),
    ]
    assert at_once.closes
    assert piecewise.closes


def test_an_answer_without_a_length_is_refused() -> None:
    """Its end could not be known."""
    with pytest.raises(ValueError, match="Content-Length"):
        Answers().feed(b"HTTP/1.1 200 OK\r\n\r\n")


def test_an_output_without_a_result_is_a_failure() -> None:
    """The generator's own words are in the message."""
    with pytest.raises(ProgramFailed, match="unable to connect"):
        load.read("unable to connect\n")
