"""The arithmetic of the report."""

import pytest

from . import figures


def test_a_summary_is_the_median_and_the_ends() -> None:
    """The spread is the distance of the ends as a share of the median."""
    summary = figures.summarize([90, 100, 130])
    assert tuple(summary) == (100, 90, 130)
    assert summary.spread == pytest.approx(0.4)
    assert figures.summarize([0.0]).spread == 0.0
    with pytest.raises(ValueError, match="no values"):
        figures.summarize([])


def test_a_ratio_compares_round_by_round() -> None:
    """One slow round of both changes nothing; what has no partner is left out."""
    assert figures.ratio({1: 100, 2: 10, 3: 100}, {1: 50, 2: 5, 3: 50}) == 2
    assert figures.ratio({1: 100, 2: 100}, {1: 50}) == 2
    assert figures.ratio({1: 10, 2: 100}, {2: 50, 3: 1}) == 2
    assert figures.ratio({1: 100}, {1: 0}) is None
    assert figures.ratio({}, {1: 1}) is None


def test_rounds_that_were_not_made_are_told() -> None:
    """A run ends before a round that would take too long, or before the first leg."""
    assert figures.rounds_made([1, 1, 2, 3, 1], 3) == "3"
    assert figures.rounds_made([1, 2], 3) == "2 of 3"
    assert figures.rounds_made([], 3) == "0 of 3"


def test_a_percentile_is_one_of_the_values() -> None:
    """The smallest that so large a share does not exceed."""
    values = [float(value) for value in range(1, 101)]
    assert figures.percentile(values, 0.5) == 50
    assert figures.percentile(values, 0.99) == 99
    assert figures.percentile(values, 1) == 100
    assert figures.percentile([7.0], 0.0) == 7
    with pytest.raises(ValueError, match="no values"):
        figures.percentile([], 0.5)


def test_a_pause_counts_for_all_requests_that_it_held() -> None:
    """One wait of five intervals stands for those of four, three, two and one as well."""
    assert sorted(figures.fill_pauses([1.0, 5.0], 1.0)) == [1.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert figures.fill_pauses([1.0, 1.9], 1.0) == [1.0, 1.9]
    assert figures.fill_pauses([5.0], 0.0) == [5.0]
