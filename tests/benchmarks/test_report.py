"""What a reader of the report sees."""

from .measure import Leg
from .report import render, short


def leg(target: str, number: int, per_s: float, **others: object) -> Leg:
    """A leg of the row `check`."""
    figures = {"p50_ms": 2.0, "p99_ms": 9.0, "cpu_us": {"service": 100.0, "store": 50.0, "load": 20.0}}
    given = {"other_cores": 0.0, "memory_kb": 2048, **figures, **others}
    return Leg(row="check", target=target, round=number, per_s=per_s, **given)  # type: ignore[arg-type]


def test_a_row_has_medians_spread_and_ratios() -> None:
    """The first target is compared with each, round by round."""
    legs = [leg("ours", 1, 1000), leg("theirs", 1, 500), leg("ours", 2, 1200)]
    legs.append(leg("theirs", 2, 400, cpu_us={"service": 250.0, "store": 50.0, "load": 20.0}))
    text = render(legs, [], {"machine": "two cores"})
    assert "* machine: two cores" in text
    assert "| ours | 1,100 | 1,000–1,200 (18%) | 2.00 | 9.0 | 100 + 50 | 20 | 2 | 0.00 | 1.00 | 1.00 |" in text
    assert "| theirs | 450 | 400–500 (22%) | 2.00 | 9.0 | 175 + 50 | 20 | 2 | 0.00 | 2.50 | 1.50 |" in text
    assert "(!)" not in text


def test_a_busy_machine_is_told() -> None:
    """Figures that others have spoiled are marked, and the mark is explained."""
    text = render([leg("ours", 1, 1000, other_cores=0.9)], [], {})
    assert "0.90 (!)" in text
    assert "others used the machine" in text


def test_rows_with_figures_of_their_own_have_their_own_columns() -> None:
    """Medians with the ends; a figure that one target lacks is a dash."""
    legs = [leg("ours", 1, 0, extra={"bytes": 3000.0}), leg("ours", 2, 0, extra={"bytes": 3100.0, "keys": 7.5})]
    text = render([*legs, leg("theirs", 1, 0, extra={"bytes": 100.0})], [], {})
    assert "| | bytes | keys |" in text
    assert "| ours | 3,050 (3,000–3,100) | 7.50 |" in text
    assert "| theirs | 100 | – |" in text


def test_a_fault_is_told_and_hides_no_figures() -> None:
    """What could be measured is there all the same."""
    text = render([leg("ours", 1, 1000)], ["theirs: did not start"], {})
    assert "| ours | 1,000 |" in text
    assert "* fault: theirs: did not start" in text


def test_failures_stand_beside_the_name() -> None:
    """What was refused or got no answer, as a share of all requests."""
    text = render([leg("ours", 1, 1000, statuses={"201": 80, "503": 10}, failed=20, errors=10)], [], {})
    assert "| ours (20% failed) | 1,000 |" in text


def test_figures_are_short_and_plain() -> None:
    """Three digits or more, no power of ten."""
    assert [short(value) for value in (12345.6, 123.4, 12.34, 0.123, 0, 2.0)] == [
        "12,346",
        "123",
        "12.3",
        "0.12",
        "0",
        "2",
    ]
