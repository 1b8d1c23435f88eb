"""Guesses of an app over all processes: when codes are made harder to guess, and when that ends."""

import json
import random
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from otp_service.domain.guessing import (
    BUCKET_MS,
    HOLD_MS,
    WINDOW_MS,
    GuessingRule,
    GuessingState,
    Level,
    NewGuesses,
    wanted_level,
)
from otp_service.storage.guesses import Guesses
from tests.conftest import wait_until

from .harness import StoreHarness, at_once, word

RULE = GuessingRule()


@dataclass
class Watched:
    """One app that only this test uses."""

    harness: StoreHarness
    app: str

    def __post_init__(self) -> None:
        self.guesses = Guesses(self.harness.scripts, self.harness.keys)

    @property
    def key(self) -> str:
        """Where its guesses are."""
        (name,) = self.harness.raw.keys(f"*:guesses:{self.app}")
        return str(name.decode() if isinstance(name, bytes) else name)

    def count(self, wrong: int = 0, approved: int = 0) -> GuessingState:
        """Count so many."""
        (state,) = self.guesses.count([NewGuesses(self.app, RULE, wrong, approved)])
        assert isinstance(state, GuessingState)
        return state

    def wait(self, ms: int) -> None:
        """So much time passes: what is remembered is so much older."""
        key, buckets = self.key, ms // BUCKET_MS
        found: Any = self.harness.raw.hgetall(key)
        self.harness.raw.delete(key)
        for name, value in ((_text(name), int(value)) for name, value in found.items()):
            kind, _, bucket = name.partition(":")
            aged = f"{kind}:{int(bucket) - buckets}" if bucket else name
            self.harness.raw.hset(key, aged, value - ms if name == "holds_until_ms" else value)

    def events(self) -> list[tuple[int, int]]:
        """The changes of the level on record: before and after."""
        shard = int(self.key[len("otp:{s") :].partition("}")[0], 16)
        details = [e["detail"] for e in self.harness.audited_in(shard) if e["app"] == self.app]
        return [(detail["before"], detail["level"]) for detail in map(json.loads, details)]


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)


@pytest.fixture
def watched(harness: StoreHarness) -> Watched:
    """An app without a guess."""
    return Watched(harness, word("app"))


def test_honest_hours_change_nothing(watched: Watched) -> None:
    """Ten thousand checks an hour, of which 8 % and in a bad hour 25 % are wrong; a small app with many mistakes."""
    assert watched.count(800, 9_200).level is Level.USUAL
    assert watched.count(1_700, 0).level is Level.USUAL
    small = Watched(watched.harness, word("small"))
    assert small.count(299, 20).level is Level.USUAL
    assert (watched.events(), small.events()) == ([], [])


def test_guessing_rises_at_once_and_ends_by_itself(watched: Watched) -> None:
    """Fewer tries, then the fewest; after an hour without guessing it is as usual. Each change is one event."""
    watched.count(800, 9_200)
    assert watched.count(3_900).level is Level.FEWER_TRIES
    assert watched.count() == GuessingState(Level.FEWER_TRIES, 4_700, 9_200, Level.FEWER_TRIES)
    assert watched.count(6_000).level is Level.FEWEST_TRIES
    assert watched.count(0, 30_000).level is Level.FEWEST_TRIES
    watched.wait(HOLD_MS)
    assert watched.count().level is Level.USUAL
    watched.count(40_000)
    watched.wait(WINDOW_MS)
    assert watched.count() == GuessingState(Level.USUAL, 0, 0, Level.FEWEST_TRIES)
    assert watched.events() == [(0, 1), (1, 2), (2, 0), (0, 2), (2, 0)]


def test_an_hour_is_an_hour(watched: Watched) -> None:
    """What is older does not count, and is not kept."""
    # What is counted in one bucket is not looked at in the next.
    wait_until(lambda: watched.harness.now() % BUCKET_MS < BUCKET_MS - 10_000)
    watched.count(400, 10)
    watched.wait(WINDOW_MS - BUCKET_MS)
    assert watched.count().wrong == 400
    watched.wait(BUCKET_MS)
    assert watched.count().wrong == 0
    assert len(watched.harness.raw.hgetall(watched.key)) <= 2
    assert 0 < watched.harness.raw.pttl(watched.key) <= 2 * WINDOW_MS


def test_the_script_judges_as_the_rule(watched: Watched) -> None:
    """Over random figures at the edges: the level of a new app is what the rule wants."""
    chance = random.Random(7)
    for _ in range(150):
        app = Watched(watched.harness, word("random"))
        wrong, approved = chance.choice((299, 300, 599, 600, 601, 2_000)), chance.randrange(0, 4_100)
        assert app.count(wrong, approved).level is wanted_level(RULE, wrong, approved)


def test_processes_at_once_count_every_guess(watched: Watched) -> None:
    """And one of them is told of the change."""
    states = at_once([partial(watched.count, 20, 0) for _ in range(20)])
    assert watched.count().wrong == 400
    assert [state.has_changed for state in states].count(True) == 1
    assert watched.events() == [(0, 1)]
