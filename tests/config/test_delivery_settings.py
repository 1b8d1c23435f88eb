"""The times of a delivery in the configuration."""

from pathlib import Path

import pytest

from .reading import read, refusal


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('denial_words = ["STOP"]', "denial_words"),
        ('denial_words = ["no", "Unsubscribe!"]', "denial_words"),
        ('denial_words = ["start"]', "denial_words"),
        ('denial_words = ["help"]', "denial_words"),
        ('denial_words = ["?!"]', "denial_words"),
        ('sent_within = "0s"', "sent_within"),
        ('sent_within = "11m"', "sent_within"),
        ('sent_within = "soon"', "sent_within"),
        ('countries = ["UK"]', "the United Kingdom is GB"),
        ('countries = ["XX"]', "countries"),
        ('countries = ["US+crown"]', "GB+crown"),
        ('number_types = ["cell"]', "mobile, fixed_line"),
        ("number_types = []", "number_types"),
        ('strategy = "cheapest"', "strategy"),
    ],
)
def test_an_unusable_rule_of_delivery_is_named(tmp_path: Path, line: str, named: str) -> None:
    """A word that already means something else, a time that cannot be, a country that is none, an unknown strategy."""
    text = (
        f'[senders.p]\nkind = "number_pool"\nmessaging_profile_id = "a"\n[apps.a]\nbrand = "A"\nroute = ["p"]\n{line}\n'
    )
    assert named in refusal(tmp_path, text)


def test_the_rules_of_delivery_can_be_set(tmp_path: Path) -> None:
    """The bounds themselves are good; denial words are kept as they are compared."""
    text = '[senders.p]\nkind = "number_pool"\nmessaging_profile_id = "a"\n[apps.a]\nbrand = "A"\nroute = ["p"]\n'
    more = 'sent_within = "1s"\nstrategy = "healthiest"\ndenial_words = ["  Not ME! "]\ncountries = ["GB"]\n'
    app = read(tmp_path, text + more).policy.apps["a"]
    assert (app.sent_within_ms, app.strategy, app.denial_words) == (1_000, "healthiest", frozenset({"not me"}))
    assert read(tmp_path, text + 'sent_within = "10m"\ndenial_words = []\n').policy.apps["a"].sent_within_ms == 600_000
