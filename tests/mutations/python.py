"""Mutants of a Python module, by its syntax tree.

Comparisons are flipped, `and` and `or` exchanged, `not` dropped, whole numbers raised by one, truths negated, `+` and
`-` exchanged, two arguments swapped, and calls that stand alone dropped. Annotations and docstrings stay.
"""

import ast
import copy
from collections.abc import Callable, Iterator

from .mutant import Mutant

_FLIPS: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In},
    **{ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add},
}
Change = Callable[[], object]


def mutants(path: str, source: str) -> Iterator[Mutant]:
    """All mutants of a module."""
    places = len(list(_changes(ast.parse(source))))
    for place in range(places):
        tree = ast.parse(source)
        line, before, change, node = list(_changes(tree))[place]
        change()
        ast.fix_missing_locations(tree)
        yield Mutant(path, line, f"`{before[:60]}` becomes `{_text(node)[:60]}`", ast.unparse(tree) + "\n")


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _changes(tree: ast.Module) -> Iterator[tuple[int, str, Change, ast.AST]]:
    """Line, text before, what makes the change in the tree, and the node that is changed."""
    for node in _nodes(tree):
        for change in _of(node):
            yield getattr(node, "lineno", 0), _text(node), change, node


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The node and what is below it, without annotations."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _nodes(child)


def _of(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in _FLIPS:
            yield lambda: setattr(node, "ops", [_FLIPS[type(op)]()])
        case ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in _FLIPS:
            yield lambda: setattr(node, "op", _FLIPS[type(op)]())
        case ast.Constant(value=bool(value)):
            yield lambda: setattr(node, "value", not value)
        case ast.Constant(value=int(value)):
            yield lambda: setattr(node, "value", value + 1)
        case ast.UnaryOp(op=ast.Not()):
            yield lambda: setattr(node, "operand", ast.UnaryOp(op=ast.Not(), operand=node.operand))
        case ast.Call(args=[ast.Name() as one, ast.Name() as other], keywords=[]):
            yield lambda: setattr(node, "args", [copy.copy(other), copy.copy(one)])
        case ast.Expr(value=ast.Call()):
            yield lambda: setattr(node, "value", ast.Constant(value=None))
