"""The source of the service and of its tests, parsed once for all the tests that read it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import otp_service

PACKAGE = Path(otp_service.__file__).parent
ROOT = Path(__file__).parent.parent.parent


@cache
def parsed(path: Path) -> ast.Module:
    """The file's syntax tree. Nobody changes it."""
    return ast.parse(path.read_text(encoding="utf-8"))


def modules(folder: Path = PACKAGE) -> Iterator[tuple[Path, ast.Module]]:
    """Every Python file of a folder, parsed."""
    for path in sorted(folder.rglob("*.py")):
        yield path, parsed(path)


@cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """All nodes of a tree in the order of `ast.walk`, which takes longer than most that is done with them."""
    found = [tree]
    for node in found:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found += [one for one in value if isinstance(one, ast.AST)]
    return tuple(found)


def forget() -> None:
    """Give the memory back."""
    nodes.cache_clear()
    parsed.cache_clear()
