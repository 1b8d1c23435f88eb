"""The guard reaches its aims in a short simulation. `otp-service guard simulate` runs the whole one."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from otp_service.guard_simulation.aims import missed
from otp_service.guard_simulation.figures import Row, row
from otp_service.guard_simulation.run import DEFENCES, GUARD, UNVERIFIED, Outcome, one_seed
from otp_service.guard_simulation.shapes import ATTACKS, INNOCENT

DAYS = {"sequential": 0.2, "one_block": 0.2, "spread": 0.4, "everywhere": 0.6, "honest_first": 4.3, "quiet": 6}
SHORT = [replace(shape, days=DAYS.get(shape.name, 1)) for shape in ATTACKS + INNOCENT]
"""An attack gets most of its messages in its first hours."""


@pytest.fixture(scope="module")
def rows() -> Sequence[Row]:
    """One seed of every shape, its first days, against the guard."""
    found = {name: outcome for name, _, outcome in one_seed(11, 1_000, SHORT, {GUARD: DEFENCES[GUARD]})}
    return [row(shape, GUARD, [found[shape.name]]) for shape in SHORT]


def test_the_aims_are_reached(rows: Sequence[Row]) -> None:
    """At most 250 pumped messages a day, nobody known refused, few others, and nobody where nobody attacks."""
    assert list(missed(rows)) == []
    attacks = [one for one in rows if one.shape.attack is not None]
    assert len(attacks) == 8
    assert all(one.worst_day.most <= 250 < one.attacks.mean / one.shape.days for one in attacks if one.attacks.mean)
    assert all(one.tripped_min is not None for one in attacks)


def test_what_misses_an_aim_is_told() -> None:
    """Each aim by itself."""
    attack, innocent = ATTACKS[0], INNOCENT[0]
    pumped = row(attack, GUARD, [Outcome(honest=1_000, attacks=500, pumped={0: 251})])
    known = row(attack, GUARD, [Outcome(honest=1_000, known_refused=1, honest_refused=1)])
    refused = row(innocent, GUARD, [Outcome(honest=1_000, honest_refused=1)])
    many = row(attack, GUARD, [Outcome(honest=1_000, honest_refused=4)])
    largest = row(ATTACKS[5], GUARD, [Outcome(honest=1_000, honest_refused=26), Outcome(honest=9_000)])
    assert list(missed([pumped])) == ["sequential: 251 pumped messages a day (at most 250)"]
    assert list(missed([known])) == ["sequential: 1 starts of known numbers refused (none)"]
    assert list(missed([refused])) == ["quiet: 1 honest starts refused (none)"]
    assert list(missed([many])) == ["0.40 % of all honest starts refused (at most 0.3)"]
    assert list(missed([largest])) == []


def test_the_same_seed_gives_the_same_figures() -> None:
    """And another defence is put to the same traffic."""
    shapes = [replace(ATTACKS[0], days=0.5)]
    defences = {name: DEFENCES[name] for name in (GUARD, UNVERIFIED)}
    once, again = (list(one_seed(3, 40, shapes, defences)) for _ in range(2))
    assert once == again
    assert [name for _, name, _ in once] == [GUARD, UNVERIFIED]
    assert once[0][2].honest == once[1][2].honest > 5
