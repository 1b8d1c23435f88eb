"""Reading the documents: their blocks, inline code, sections and links."""

import argparse
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import otp_service
from otp_service.cli.main import build_parser

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(otp_service.__file__).parent
DOCS = ROOT / "deploy" / "docs"
DOCUMENTS = [ROOT / "README.md", DOCS / "quick-start.md"]
DOCUMENTS += sorted({*DOCS.glob("*.md"), *(ROOT / ".github").glob("*.md")} - set(DOCUMENTS))
"""In the order in which their commands are run: the tutorial ends with a person who has opted out."""
_BLOCK = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: where it stands, its language and its text."""

    document: Path
    language: str
    text: str


def name(document: Path) -> str:
    """A document's path from the top level."""
    return str(document.relative_to(ROOT))


def read(document: Path) -> str:
    """A document's text."""
    return document.read_text(encoding="utf-8")


def blocks(document: Path, *languages: str) -> list[Block]:
    """The fenced blocks of these languages; of all, if none is given."""
    found = [Block(document, match[2], textwrap.dedent(match[3])) for match in _BLOCK.finditer(read(document))]
    return [block for block in found if not languages or block.language in languages]


def prose(document: Path) -> str:
    """A document's text without its fenced blocks."""
    return _BLOCK.sub("", read(document))


def section(document: Path, title: str) -> str:
    """The text between a heading of the second depth and the next one."""
    return read(document).split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def spans(document: Path) -> Iterator[str]:
    """Every piece of code in a document: inline, and line by line in blocks."""
    for block in blocks(document):
        yield from block.text.splitlines()
    yield from re.findall(r"`([^`\n]+)`", prose(document))


def all_spans() -> Iterator[str]:
    """Every piece of code in all documents."""
    for document in DOCUMENTS:
        yield from spans(document)


# ---- the command line's parser --------------------------------------------------------------------------------------


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """A parser's commands by name; empty if it takes none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def options(parser: argparse.ArgumentParser) -> set[str]:
    """All options of a parser and of the commands below it."""
    own = {option for action in parser._actions for option in action.option_strings}
    return own.union(*(options(child) for child in commands(parser).values()))


def resolve(words: list[str]) -> argparse.ArgumentParser:
    """The parser of `keys create`, also where `create|list` means both; fails for a command that does not exist."""
    parser: argparse.ArgumentParser = build_parser()
    for word in words:
        known = commands(parser)
        if not known:
            break
        for one in word.split("|"):
            assert one in known, f"there is no command {one!r} in: otp-service {' '.join(words)}"
            parser = known[one]
    return parser
