"""Plain words: one term of the field for one thing, and no metaphor where there is a term.

Searched are file names, names in their parts (`fell_back` is `fell` and `back`), comments, docstrings, messages,
scripts and documents. `.github/CONTRIBUTING.md` has the rule.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

METAPHORS = {
    "alarm": "alert",
    "asker": "caller",
    "bury": "set aside",
    "buried": "set aside",
    "chore": "periodic task",
    "gate": "breaker, or answering",
    "ghost": "unknown",
    "guest": "token access",
    "hands": "workers, claimed or in flight",
    "home": "the domestic form, a directory",
    "house": "service, store or harness",
    "lane": "shard or group",
    "plant": "cluster",
    "postman": "callback worker",
    "postmen": "callback workers",
    "pulse": "heartbeat",
    "rooms": "stores",
    "rung": "step",
    "scene": "scenario",
    "stage": "harness or client",
    "stories": "use cases, outcomes or timelines",
    "story": "use case, outcome or timeline",
    "stranger": "caller without a key",
    "tallies": "sender stats",
    "tally": "sender stats",
    "turnstile": "limit",
    "twin": "the same, a second",
    "wire": "request, response, connection or transport",
    "world": "harness or scenario",
}
"""Each word with the term that stands for it. A plural with `s` counts as the word."""

PHRASES = {
    r"in hand": "in flight",
    r"left the house": "was sent",
    r"the carrier's(?: own)? word": "the carrier's response or report",
    r"f(?:all|alls|ell|alling)[-_ ]over|fall[-_]back|fail-over": "failover",
    r"delivery receipts?": "delivery report",
    r"stand-ins?": "substitute",
    r"out of thin air": "random",
}
"""Groups of words (as a pattern) with their term."""

SEARCHES = [(re.compile(rf"\b(?:{phrase})\b", re.IGNORECASE), instead) for phrase, instead in PHRASES.items()]

ALLOWED = {
    ("tests/architecture/test_plain_words.py", ""): "the list itself",
    ("otp_service/domain/phrases.py", ""): "words that people write in replies",
    ("tests/domain/test_replies.py", ""): "words that people write in replies",
    ("otp_service/domain/receiver_url.py", "home"): "a reserved top-level domain",
    ("tests/architecture/test_source_rules.py", "home"): "a path of a machine",
    ("tests/e2e/test_dev_env.py", "home"): "a variable of the shell",
    ("tests/e2e/test_deploy.py", "stages"): "of a Dockerfile",
    ("deploy/Dockerfile", "stage"): "of a Dockerfile",
    ("deploy/Dockerfile", "home"): "a directory",
    (".ci/run", "home"): "a variable of the shell",
}
"""Where a word may stand (file, word; "" is every word), and why."""

PLACES = ("otp_service", "tests", "deploy", ".ci", ".github", "README.md", "setup.cfg")
NO_TEXT = {".png"}
COMPILED = "__pycache__"
"""Processes that run beside the tests write there, under names that are gone a moment later."""


def searched(*places: str) -> Iterator[Path]:
    """Every file there that people read."""
    for place in places:
        paths = [path for path in [ROOT / place, *sorted((ROOT / place).rglob("*"))] if path.is_file()]
        yield from (path for path in paths if path.suffix not in NO_TEXT and path.parent.name != COMPILED)


def words(line: str) -> Iterator[str]:
    """The words of a line in small letters; names in their parts."""
    for name in re.findall(r"[A-Za-z]+", line):
        yield from (part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))


def term(word: str) -> str | None:
    """What to write instead of it; None if the word may stand."""
    return METAPHORS.get(word) or METAPHORS.get(word.removesuffix("s"))


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, word and the term to use instead."""
    # A file has few of them, if any: lines without one are passed over.
    whole = text.lower()
    suspected = [word for word in METAPHORS if word in whole]
    phrases = [(search, instead) for search, instead in SEARCHES if search.search(text)]
    for number, line in enumerate(text.splitlines(), 1):
        small = line.lower()
        for word in words(line) if any(one in small for one in suspected) else ():
            if instead := term(word):
                yield number, word, instead
        for search, instead in phrases:
            if found := search.search(line):
                yield number, found[0].lower(), instead


def allowed(name: str, word: str) -> bool:
    """Whether there is a reason for it."""
    return (name, word) in ALLOWED or (name, "") in ALLOWED


@pytest.mark.parametrize("place", PLACES)
def test_no_metaphor_takes_the_place_of_a_term(place: str) -> None:
    """Where the field has a term, that is the word: in the text of a file and in its name."""
    names = [str(path.relative_to(ROOT)) for path in searched(place)]
    assert names
    found = []
    for name in names:
        text = f"{name}\n{(ROOT / name).read_text(encoding='utf-8')}"
        found += [
            f"{name}:{number - 1}: {word} (write: {instead})"
            for number, word, instead in findings(text)
            if not allowed(name, word)
        ]
    assert found == []


def test_what_is_compiled_meanwhile_is_not_searched(tmp_path: Path) -> None:
    """A file that another process has not completed has a name that ends in a number."""
    (tmp_path / COMPILED).mkdir()
    (tmp_path / COMPILED / "a.cpython-311.pyc.140012345").write_bytes(b"\xff")
    (tmp_path / "a.py").touch()
    assert [path.name for path in searched(str(tmp_path))] == ["a.py"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("the Postman brings it", "postman"),
        ("class StoreHouse:", "house"),
        ("two scenes at once", "scenes"),
        ("def fell_over(self)", "fell_over"),
        ("what is in hand", "in hand"),
        ("warehouse, storyteller, on the other hand", None),
        ("OUTBOX_PULSE_S = 1", "pulse"),
        ("a fallback to English", None),
        ("delivery.fell_back", None),
    ],
)
def test_the_search_finds_words_and_parts_of_names(line: str, word: str | None) -> None:
    """Whole words and parts of names, no pieces of others. `delivery.fell_back` is an event of the public API."""
    assert [found for _, found, _ in findings(line)] == ([word] if word else [])


def test_every_exception_has_its_reason_and_is_used() -> None:
    """A file that is gone, or a word that is no longer there, leaves the list."""
    for (name, word), reason in ALLOWED.items():
        assert reason
        path = ROOT / name
        assert path.exists(), name
        if word:
            assert word in {found for _, found, _ in findings(path.read_text(encoding="utf-8"))}, (name, word)
