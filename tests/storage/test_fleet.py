"""The records of running processes: written, read with the skew of each clock, gone by themselves."""

import pytest

from otp_service.clock import clock_ms
from otp_service.domain.fleet import API, WORKER, LiveProcess, ProcessRecord, differences
from otp_service.storage.fleet import Fleet

from .harness import StoreHarness


def record(**changes: object) -> ProcessRecord:
    """One of a process that is as all others."""
    same: dict[str, object] = {
        "role": API,
        "host": "a",
        "pid": 1,
        "version": "1.0",
        "configuration": "c1",
        "keyring": "k1",
        "active_key": "x",
        "clock_ms": clock_ms(),
    }
    return ProcessRecord(**(same | changes))  # type: ignore[arg-type]


def test_each_process_is_seen_with_its_clock(harness: StoreHarness) -> None:
    """The skew is by the store's clock; what has ended is no process any more."""
    fleet = Fleet(harness.store, harness.keys)
    fleet.write("p1", record())
    fleet.write("p2", record(role=WORKER, pid=2, clock_ms=clock_ms() + 60_000))
    first, second = fleet.live()
    assert abs(first.skew_ms) < 5_000
    assert 55_000 < second.skew_ms < 65_000
    harness.store.client.delete(harness.keys.process("p2"))
    assert [one.record.pid for one in fleet.live()] == [1]
    fleet.forget_gone()
    assert harness.store.client.smembers(harness.keys.processes()) == {"p1"}
    fleet.forget("p1")
    assert fleet.live() == []


def test_what_cannot_be_read_is_no_process(harness: StoreHarness) -> None:
    """A process of another version may say other things."""
    fleet = Fleet(harness.store, harness.keys)
    fleet.write("p1", record())
    harness.store.client.set(harness.keys.process("p1"), "{}")
    assert fleet.live() == []
    fleet.forget("p1")


@pytest.mark.parametrize("what", ["version", "configuration", "keyring"])
def test_what_differs_is_named(what: str) -> None:
    """With the processes on each side."""
    here, there = record(), record(pid=2, host="b", **{what: "other"})
    assert differences([LiveProcess(here, 0), LiveProcess(here, 10)]) == []
    (said,) = differences([LiveProcess(here, 0), LiveProcess(there, 0)])
    assert what in said
    assert "api 1 on a" in said
    assert "api 2 on b" in said


def test_a_wrong_clock_is_named() -> None:
    """Ahead or behind."""
    found = differences(
        [LiveProcess(record(), 6_000), LiveProcess(record(pid=2), -6_000), LiveProcess(record(), 4_000)]
    )
    assert len(found) == 2
