"""The sizing guide: the model, the table, and that it stands on what was measured."""

import math
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from . import guide
from .guide import BEGIN, END, Costs, need
from .measure import Leg
from .model import Cost, requests_per_s

COSTS = Costs(300, 100, 200, 80, 100, 50, 1_000, 240, 500, 2_000, 2_500, 4, 200)
ABOUT = {"commit": "abc1234", "machine": "2 cores"}


def own(row: str, extra: dict[str, float], target: str = "otp-service") -> Leg:
    """A leg with figures of its own."""
    return Leg(row, target, 1, 0.0, 0.0, 0.0, {}, 0.0, 0, extra=extra)


def load(row: str, service: float, store: float) -> Leg:
    """A leg of a load."""
    return Leg(row, "otp-service", 1, 100.0, 1.0, 2.0, {"service": service, "store": store}, 0.0, 0)


LEGS = [
    load("start, 16 connections", 300, 100),
    load("start, known number, 16 connections", 200, 80),
    load("check, wrong code, 16 connections", 100, 50),
    own("worker, 150 ms carrier", {"worker CPU µs": 1_000, "store CPU µs": 240, "sends a second": 500}),
    own("a pending verification in the store", {"bytes (MEMORY USAGE)": 2_000}),
    own(
        "what a login leaves in the store",
        {"bytes (MEMORY USAGE), no events": 2_500, "audit events": 4, "bytes of an audit event": 200},
    ),
]


@dataclass
class Binds:
    """One bound of the model, and what it allows."""

    cost: Cost
    processes: int
    shares: list[float]
    cores: float
    per_s: float


@pytest.mark.parametrize(
    "case",
    [
        Binds(Cost(200, 50), 2, [1.0], math.inf, 10_000),
        Binds(Cost(20, 100), 2, [1.0], math.inf, 10_000),
        Binds(Cost(20, 100), 4, [0.5, 0.3, 0.2], math.inf, 20_000),
        Binds(Cost(200, 50, 50), 2, [1.0], 2.0, 2e6 / 300),
        Binds(Cost(0, 100, 25), 0, [0.5, 0.5], 2.0, 16_000),
    ],
)
def test_the_scarcest_thing_binds(case: Binds) -> None:
    """API cores, the busiest primary, or the cores of a machine that all of them share."""
    found = requests_per_s(case.cost, api_processes=case.processes, shares=case.shares, shared_cores=case.cores)
    assert found == pytest.approx(case.per_s)


def test_what_logins_need() -> None:
    """600 a minute are 10 a second: at half load 20 times the CPU of one; 864,000 a day, their events for two days.

    The ledger has five records of each for a year.
    """
    found = need(COSTS, 600)
    assert found.api_cores == pytest.approx(20 * (300 + 1.2 * 100) / 1e6)
    assert found.store_cores == pytest.approx(20 * (100 + 1.2 * 50 + 240) / 1e6)
    assert found.worker_cores == pytest.approx(20 * 1_000 / 1e6)
    assert (found.workers, found.primaries) == (1, 1)
    assert found.logins_bytes == 864_000 * 2_500 + 6_000 * 2_000
    assert found.events_bytes == 864_000 * 2 * 4 * 200
    assert found.ledger_bytes == 864_000 * 365 * 5 * 1080
    large = need(COSTS, 600_000)
    assert (large.workers, large.primaries) == (40, 8)


def test_the_costs_are_taken_from_a_run() -> None:
    """From the rows of 16 connections and the own rows; a run without one of them is no ground for a table."""
    assert guide.costs_of(LEGS) == COSTS
    for missing in LEGS:
        with pytest.raises(ValueError, match="a row is missing"):
            guide.costs_of([leg for leg in LEGS if leg is not missing])


def test_the_page_is_written_between_its_marks(tmp_path: Path) -> None:
    """Written again it is the same; what stands around the figures stays."""
    page, drawing = tmp_path / "sizing.md", tmp_path / "speed.svg"
    page.write_text(f"# Sizing\n\n{BEGIN}old{END}\n\nAfter.\n")
    figures = {
        "a second": 9.0,
        "by the model": 10.0,
        "API CPU µs": 300,
        "store CPU µs": 100,
        "busiest primary's share": 0.56,
    }
    waits = own("accepted start to carrier request, half load", {"busy cores": 1.67})
    legs = [*LEGS, own("Cluster: start", figures, "otp-service, 2 primaries"), waits]
    for _ in range(2):
        guide.write(page, drawing, legs, ABOUT)
        text = page.read_text()
        assert text.startswith(f"# Sizing\n\n{BEGIN}\nMeasured at commit abc1234 on 2 cores;")
        assert text.endswith(f"\n\n{END}\n\nAfter.\n")
        assert "old" not in text
        assert "| 600 | < 0.01 | 0.02 · 1 | < 0.01 · 1 | 2.17 GB | 1.38 GB | 1.7 TB |" in text
        assert "| start | 2 | 9 | 10 | 300 µs · 100 µs | 0.56 |" in text
        assert "| a pending verification: bytes | ≤ 1,500 | 2,000 |  |  | **no** |" in text
        assert "| CPU of a start of a known number, API · store | 200 µs · 80 µs | `--rows start-known` |" in text
        assert "| start, known number | otp-service | 200 µs | 80 µs | 280 µs |" in text
        assert "| check | otp-service | 100 µs | 50 µs | 150 µs |" in text
        assert "| cores that are busy | 1.67 |" in text
        assert guide.BUSY not in text
    assert drawing.read_text().startswith("<svg")
    busy = [msgspec.structs.replace(leg, other_cores=0.5) for leg in legs]
    guide.write(page, drawing, busy, ABOUT)
    assert guide.BUSY in page.read_text()
    page.write_text("# Sizing\n")
    with pytest.raises(ValueError, match="no marks"):
        guide.write(page, drawing, LEGS, ABOUT)


def test_cores_and_sizes_are_short() -> None:
    """No more digits than one needs to plan."""
    assert [guide.cores(value) for value in (0.004, 0.016, 1.44, 14.4)] == ["< 0.01", "0.02", "1.4", "14"]
    sizes = [guide.size(value) for value in (512, 2_160_000, 2.16e9, 62.2e12)]
    assert sizes == ["512 bytes", "2.16 MB", "2.16 GB", "62.2 TB"]
