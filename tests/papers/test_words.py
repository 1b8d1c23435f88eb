"""The documents use the terms of the field, in sentences that can be read once."""

import re
from pathlib import Path

import pytest

from .papers import PAPERS, name, prose

AVOIDED = (
    *("the house", "home", "hands", "in hand", "postman", "guest", "stranger", "chore", "pulse", "rooms", "story"),
    *("stories", "the wire", "stand-in", "fall-over", "bury", "carrier's word", "left the house", "asker", "lane"),
)
"""Metaphors and words of our own for which the field has a term; CONTRIBUTING.md has the rule."""
LONGEST = 45
"""Words in a sentence. Most have fewer than twenty."""


@pytest.mark.parametrize("paper", PAPERS, ids=name)
def test_no_metaphor_takes_the_place_of_a_term(paper: Path) -> None:
    """One word for one thing, and it is the field's."""
    text = prose(paper).lower()
    assert [word for word in AVOIDED if re.search(rf"\b{re.escape(word)}\b", text)] == []


@pytest.mark.parametrize("paper", PAPERS, ids=name)
def test_a_sentence_can_be_read_once(paper: Path) -> None:
    """Its length is bounded. Tables and headings are no sentences; a reader scans them."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", prose(paper))
    lines = [line for line in text.splitlines() if not line.startswith(("|", "#"))]
    sentences = [one for line in lines for one in re.split(r"(?<=[.:;?!])\s", line)]
    assert [one for one in sentences if len(one.split()) > LONGEST] == []


@pytest.mark.parametrize("paper", PAPERS, ids=name)
def test_most_sentences_are_short(paper: Path) -> None:
    """Half of them have at most sixteen words."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", prose(paper))
    lines = [line for line in text.splitlines() if not line.startswith(("|", "#"))]
    lengths = sorted(len(one.split()) for line in lines for one in re.split(r"(?<=[.?!])\s", line) if one.split())
    assert lengths[len(lengths) // 2] <= 16
