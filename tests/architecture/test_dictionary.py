"""The schema is the only dictionary of the store: no field name, timer kind or encoding is written anywhere else."""

import ast
import re
from collections.abc import Iterator

import pytest

from otp_service.domain.audit import EventField
from otp_service.domain.outbox import TimerKind
from otp_service.storage.schema import encodings, fields, guard_fields
from otp_service.storage.schema.encodings import Encoding

from .source import PACKAGE, modules, nodes

LUA = PACKAGE / "storage" / "lua"
READERS = ("storage", "usecases", "web", "cli", "bootstrap", "runtime")
"""Packages that work with what is stored. `storage/schema` is the dictionary itself."""

NAMES = {
    value
    for group in (*vars(fields).values(), *vars(guard_fields).values(), EventField)
    if isinstance(group, type)
    for key, value in vars(group).items()
    if key.isupper() and isinstance(value, str)
}
MARKED = {name for name in NAMES if ":" in name}
"""Names that are known by their colon, wherever they stand."""

HOLDERS = ("record", "fields", "found", "event", "entry", "hash", "secrets", "stored")
"""Variables and attributes that hold a stored hash or stream entry."""

COMMANDS = re.compile(r"H[A-Z]+|XADD", re.IGNORECASE)
"""Commands of the store that take field names. Redis-py has methods of the same names."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module that works with what is stored."""
    for folder in READERS:
        for path, tree in modules(PACKAGE / folder):
            if "schema" not in path.relative_to(PACKAGE / folder).parts or folder != "storage":
                yield str(path.relative_to(PACKAGE)), tree


def texts(node: ast.AST | None) -> set[str]:
    """The literal texts in an expression."""
    found = ast.walk(node) if node is not None else ()
    return {one.value for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def holder(node: ast.expr) -> str:
    """The last part of a variable or attribute."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def named_fields(node: ast.AST) -> set[str]:
    """Literals at a place where a field of something stored is named."""
    match node:
        case ast.Subscript(value=value, slice=part) if holder(value) in HOLDERS:
            return texts(part)
        case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[first, *_]) if holder(value) in HOLDERS:
            return texts(first)
        case ast.Compare(left=left, comparators=[right]) if holder(right) in HOLDERS:
            return texts(left)
        case ast.Call(func=ast.Attribute(attr=command), args=[_, *rest], keywords=more) if COMMANDS.fullmatch(command):
            return set[str]().union(*map(texts, rest), *(texts(one.value) for one in more))
        case ast.Tuple(elts=[ast.Constant(value=str(command)), *rest]) if COMMANDS.fullmatch(command):
            return set[str]().union(*map(texts, rest))
    return set()


def kinds_of_timers(node: ast.AST) -> set[str]:
    """Literals that a kind is compared with."""
    match node:
        case ast.MatchValue(value=value):
            return texts(value)
        case ast.Compare(left=left, comparators=right) if "kind" in map(holder, (left, *right)):
            return texts(left).union(*map(texts, right))
    return set()


def breaches(tree: ast.AST) -> set[str]:
    """Names of the dictionary that a module writes itself."""
    found = set()
    for node in nodes(tree):
        found |= named_fields(node) & NAMES
        found |= kinds_of_timers(node) & set(TimerKind)
        if isinstance(node, ast.Constant) and node.value in MARKED:
            found.add(str(node.value))
    return found


def test_no_module_writes_a_name_of_the_store() -> None:
    """A field is named by the schema, an event's field by the domain from which the schema takes it."""
    assert len(list(sources())) > 100
    assert {path: found for path, tree in sources() if (found := breaches(tree))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "event.fields['app']",
        "fields.get('verification', '')",
        "'app' in record",
        "client.hget(key, 'status')",
        "client.hset(key, mapping={'status': 'x'})",
        "('HMGET', key, 'status', 'version')",
        "timer.kind == 'expiry'",
        "match kind:\n  case 'closing': pass",
        "name = '3' + ':status'",
        "timer = 'retry:' + delivery",
        "f'{n}:status'",
    ],
)
def test_a_name_that_is_written_is_found(line: str) -> None:
    """The check itself."""
    assert breaches(ast.parse(line))


@pytest.mark.parametrize("line", ["event.app", "fields.get(EventField.APP)", "kind == 'poller'", "fields['other']"])
def test_what_only_looks_like_one_is_not(line: str) -> None:
    """Names from the dictionary, and other words."""
    assert breaches(ast.parse(line)) == set()


# ---- the scripts ----------------------------------------------------------------------------------------------------


def scripts() -> Iterator[tuple[str, str]]:
    """Each script and fragment as it is written, without comments."""
    for path in sorted(LUA.rglob("*.lua")):
        text = path.read_text(encoding="utf-8")
        yield str(path.relative_to(LUA)), "\n".join(re.sub(r"(^|\s)--.*", "", line) for line in text.split("\n"))


def command_calls(text: str) -> Iterator[str]:
    """The arguments of every call of a command that takes field names."""
    for start in re.finditer(r"redis\.call\('(?:H[A-Z]+|XADD)',", text):
        depth, end = 1, start.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield text[start.end() : end - 1]


def lua_breaches(text: str) -> set[str]:
    """Names and encodings that a script writes itself."""
    named = {name for call in command_calls(text) for name in re.findall(r"'([^']*)'", call)} & NAMES
    literals = set(re.findall(r"'((?:[^'\\]|\\.)*)'", text))
    return named | (literals & MARKED) | {one for one in literals if re.search(r"\\31|\|", one)}


def test_no_script_writes_a_name_or_a_separator_of_the_store() -> None:
    """A field is `Record.STATUS`, a packed value `OptoutEntry.PACK`."""
    assert len(list(scripts())) > 40
    assert {name: found for name, text in scripts() if (found := lua_breaches(text))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "redis.call('HGET', record_key, 'status')",
        "redis.call('HMGET', record_key, Record.APP,\n  'status', int(now))",
        "redis.call('HSET', record_key, n .. ':status', 'queued')",
        "redis.call('ZREM', timers_key, 'expiry:' .. token)",
        "string.match(entry, '^(%d+)|(%d+)$')",
        "table.concat(reply, '\\31')",
    ],
)
def test_what_a_script_writes_is_found(line: str) -> None:
    """The check itself."""
    assert lua_breaches(line)


# ---- one place ------------------------------------------------------------------------------------------------------


def test_the_schema_takes_what_the_domain_names() -> None:
    """Kinds of timers have one spelling."""
    kinds = {value for key, value in vars(fields.TimerKind).items() if key.isupper()}
    assert kinds == {encodings.TimerEntry.pack(kind, "") for kind in TimerKind}


def test_no_encoding_is_left_over() -> None:
    """Each is used by Python or by a script."""
    python = {name for _, tree in sources() for node in nodes(tree) for name in [getattr(node, "id", "")]}
    python |= {node.attr for _, tree in sources() for node in nodes(tree) if isinstance(node, ast.Attribute)}
    lua = {name for _, text in scripts() for name in re.findall(r"\b([A-Z]\w+)\.[A-Z]+\b", text)}
    assert {name for name, value in vars(encodings).items() if isinstance(value, Encoding)} <= python | lua
