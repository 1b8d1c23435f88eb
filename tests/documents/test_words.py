"""Sentences of the documents can be read once. The words are checked in `tests/architecture/test_plain_words.py`."""

import re
from pathlib import Path

import pytest

from .reading import DOCUMENTS, name, prose

LONGEST = 45
"""Words in a sentence. Most have fewer than twenty."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_a_sentence_can_be_read_once(document: Path) -> None:
    """Its length is bounded. Tables and headings are no sentences; a reader scans them."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", prose(document))
    lines = [line for line in text.splitlines() if not line.startswith(("|", "#"))]
    sentences = [one for line in lines for one in re.split(r"(?<=[.:;?!])\s", line)]
    assert [one for one in sentences if len(one.split()) > LONGEST] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_most_sentences_are_short(document: Path) -> None:
    """Half of them have at most sixteen words."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", prose(document))
    lines = [line for line in text.splitlines() if not line.startswith(("|", "#"))]
    lengths = sorted(len(one.split()) for line in lines for one in re.split(r"(?<=[.?!])\s", line) if one.split())
    assert lengths[len(lengths) // 2] <= 16
