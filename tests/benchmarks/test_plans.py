"""The requests of the rows."""

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from otp_service.domain import phone

from . import phone_numbers
from .load import Request
from .programs import ProgramFailed, Programs
from .target import Kind, Pending, Stack, require


class Example(Stack):
    """A stack without a service behind it."""

    def start(self, number: str) -> Request:
        """As otp-service has it."""
        return Request("/start", number)

    def check(self, pending: Pending, code: str) -> Request:
        """As otp-service has it."""
        return Request("/check", json.dumps([pending.id, code]))

    def make_pending(self, count: int) -> list[Pending]:
        """Numbered ones, one of which has the wrong code's digits."""
        return [Pending(next(self.numbers), str(index), f"{index:06d}") for index in range(count)]


@pytest.fixture
def stack(tmp_path: Path) -> Example:
    """A stack that nothing belongs to."""
    return Example(Programs(tmp_path), "http://127.0.0.1:1", {})


def test_numbers_are_valid_and_never_repeat() -> None:
    """The service accepts each, none is reserved for fiction, and the list is long enough."""
    some = [phone_numbers.number(index) for index in range(0, 12_800_000, 99_991)]
    assert [phone.parse(number).e164 for number in some] == some
    assert not any("555" in number[5:8] for number in some)
    first = list(itertools.islice(phone_numbers.numbers(), 1000))
    assert len(set(first)) == 1000
    with pytest.raises(IndexError):
        phone_numbers.number(12_800_000)


def test_wrong_checks_spread_over_verifications_and_end_none(stack: Example) -> None:
    """No verification gets more wrong codes than it takes, and none gets its right one."""
    plan = stack.plan(Kind.WRONG, 100)
    assert len(plan) >= 100
    pairs = [json.loads(request.body) for request in plan]
    assert max(Counter(one for one, _ in pairs).values()) <= stack.tries
    assert all(f"{int(one):06d}" != code for one, code in pairs)
    assert pairs[0][0] != pairs[1][0]


def test_right_checks_approve_each_once(stack: Example) -> None:
    """Each verification gets its code."""
    pairs = [json.loads(request.body) for request in stack.plan(Kind.RIGHT, 50)]
    assert pairs == [[str(index), f"{index:06d}"] for index in range(50)]


def test_login_traffic_has_a_start_for_each_check(stack: Example) -> None:
    """Half are starts of new numbers; of the checks every sixth is wrong."""
    plan = stack.plan(Kind.LOGIN, 120)
    assert Counter(request.path for request in plan) == {"/start": 60, "/check": 60}
    pairs = [json.loads(request.body) for request in plan if request.path == "/check"]
    assert sum(f"{int(one):06d}" != code for one, code in pairs) == 10
    numbers = [request.body for request in plan if request.path == "/start"]
    assert len(set(numbers)) == 60


def test_an_unexpected_status_stops_the_row() -> None:
    """Figures of refusals would look like a fast service."""
    require([201, 201], 201, "starts")
    with pytest.raises(ProgramFailed, match=r"starts: answered \[429, 503\] instead of 201"):
        require([201, 503, 429], 201, "starts")
