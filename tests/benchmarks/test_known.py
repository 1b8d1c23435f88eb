"""The row of known numbers: a service that knows them, and one that keeps nothing of a number."""

import json
from pathlib import Path
from typing import Any

from otp_service.storage.schema.guard_fields import Guard
from tests.conftest import needs_program

from .ours import ROOT, WORKER, OtpService, OurStack
from .peers.servers import NaiveStack
from .post import post_all
from .programs import Programs
from .target import Kind

GUARD_KEYS = "otp:*guard*"
NO_BUDGETS = {Guard.KNOWN, Guard.TURNS}
"""How many starts of known numbers there were, which is counted now and then and tells an outage, and the writes."""
COUNT = 8


def budgets(stack: OurStack) -> dict[str, dict[str, str]]:
    """What the guard's budgets hold."""
    with stack.store() as client:
        found = {key: client.hgetall(key) for key in client.scan_iter(GUARD_KEYS, count=1000, _type="hash")}
    return {key: {name: kept[name] for name in kept if name not in NO_BUDGETS} for key, kept in found.items()}


def start_all(stack: OurStack, kind: Kind) -> list[int]:
    """Send a plan; the statuses."""
    return [status for status, _ in post_all(stack.url, stack.plan(kind, COUNT), stack.headers)]


def test_starts_of_known_numbers_ask_no_budget(tmp_path: Path) -> None:
    """Those of new numbers do. The worker that has sent the codes is gone when the plan is made."""
    needs_program("redis-server", "valkey-server")
    with Programs(tmp_path) as programs:
        stack = OtpService("otp-service", ROOT).open(programs, worker=False)
        plan = stack.plan(Kind.KNOWN, COUNT)
        assert WORKER not in programs.sessions
        numbers: list[Any] = [json.loads(request.body)["to"] for request in plan]
        assert len(set(numbers)) == COUNT
        before = budgets(stack)
        assert [status for status, _ in post_all(stack.url, plan, stack.headers)] == [201] * COUNT
        assert budgets(stack) == before
        assert start_all(stack, Kind.START) == [201] * COUNT
        assert budgets(stack) != before


def test_a_naive_service_gets_any_numbers(tmp_path: Path) -> None:
    """It keeps nothing of a number, so nobody logs in before: no server is needed for the plan."""
    plan = NaiveStack(Programs(tmp_path), "http://127.0.0.1:1", {}).plan(Kind.KNOWN, COUNT)
    assert [request.path for request in plan] == ["/start"] * COUNT
    assert len({request.body for request in plan}) == COUNT
