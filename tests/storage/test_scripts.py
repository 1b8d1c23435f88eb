"""Scripts by name: a key or argument too many, too few or under another name never reaches the store."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from otp_service import storage
from otp_service.storage.callers import caller
from otp_service.storage.schema import writers
from otp_service.storage.schema.keys import Keys
from otp_service.storage.schema.unguarded import UNGUARDED
from otp_service.storage.script_files import Script, Value, load, names, parse, read, without_unused
from otp_service.storage.scripts import Scripts
from otp_service.storage.store import Store

from .harness import StoreHarness

HEADER = "#!lua\n-- KEYS record! secrets [latest!]\n-- ARGV token app\n--      digests...\n-- Reply nothing\n"


class Unsent(Scripts):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[list[str], list[Any]]] = []

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        self.sent.append((list(keys), list(args)))


def keys_of(script: Script) -> dict[str, str]:
    """A key for each name."""
    return {name: f"key of {name}" for name in script.keys}


def args_of(script: Script) -> dict[str, Any]:
    """An argument for each name."""
    rest: dict[str, Any] = {script.rest: ["rest"]} if script.rest else {}
    return {name: f"argument {name}" for name in script.args} | rest


def test_functions_that_are_never_called_are_left_out() -> None:
    """Also those that only such a function calls; lines stay where they are, and a comment calls nothing."""
    text = """local function used(a) return a end
-- unused
local function unused(a)
  return only_there(a)
end
local function one_line(a) if a then return a end end
return used(1)
"""
    kept = "local function used(a) return a end\n-- unused\n\n\n\n\nreturn used(1)\n"
    text = text.replace("-- unused\n", "-- unused\nlocal function only_there(a)\n  return a\nend\n")
    assert without_unused(text) == kept.replace("-- unused\n", "-- unused\n\n\n\n")


@pytest.mark.parametrize("name", names())
def test_keys_and_arguments_go_in_the_order_of_the_header(name: str) -> None:
    """In whatever order they are given, with the optional keys and without."""
    script, unsent = load(name), Unsent()
    keys, args = keys_of(script), args_of(script)
    rest = ["rest"] if script.rest else []
    for given in (keys, keys | {key: f"key of {key}" for key in script.optional}):
        unsent.call(name, dict(reversed(given.items())), **dict(reversed(args.items())))
        assert unsent.sent.pop() == (
            [f"key of {key}" for key in (*script.keys, *script.optional)][: len(given)],
            [*([caller()] if script.names_caller else []), *(f"argument {arg}" for arg in script.args), *rest],
        )


@pytest.mark.parametrize("name", names())
def test_a_wrong_key_or_argument_is_an_error_before_anything_is_sent(name: str) -> None:
    """Each one left out, each one under another name, one too many."""
    script, unsent = load(name), Unsent()
    keys, args = keys_of(script), args_of(script)

    def refused(keys: Mapping[str, str], args: Mapping[str, Any]) -> None:
        with pytest.raises(TypeError, match=re.escape(name)):
            unsent.call(name, keys, **args)

    for key in keys:
        fewer = {other: value for other, value in keys.items() if other != key}
        refused(fewer, args)
        refused(fewer | {"another": "x"}, args)
    for arg in args:
        less = {other: value for other, value in args.items() if other != arg}
        refused(keys, less)
        refused(keys, less | {"another": "x"})
    refused(keys | {"another": "x"}, args)
    refused(keys, args | {"another": "x"})
    for key in script.optional if len(script.optional) > 1 else ():
        refused(keys | {key: "x"}, args)
    if script.rest:
        refused(keys, args | {script.rest: "one text"})
    assert unsent.sent == []


@pytest.mark.parametrize("name", names())
def test_a_script_uses_each_name_that_it_declares(name: str) -> None:
    """It, or a part that it includes. No name hides one of Lua's own or of the parts that are included."""
    script = load(name)
    text = "\n".join(line for line in read(name)[1].split("\n") if not line.lstrip().startswith("--"))
    declared = [*(f"{key}_key" for key in (*script.keys, *script.optional)), *script.args]
    for word in (*declared, *([script.rest] if script.rest else [])):
        assert re.search(rf"\b{word}\b", text), word
        assert not re.search(rf"\bfunction {word}\b", text), word
    assert not {*script.args, script.rest} & {"type", "next", "select", "unpack", "table", "string", "math", "redis"}


@pytest.mark.parametrize("name", names())
def test_a_key_is_named_as_in_the_dictionary(name: str) -> None:
    """So that what writes a key can be read from the headers."""
    for key in (*load(name).keys, *load(name).optional):
        assert writers.method_of(key) in vars(Keys)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("KEYS record!", "KEYS record! record"),
        ("secrets [latest!]", "secrets [secrets]"),
        ("ARGV token app", "ARGV token app token"),
        ("ARGV token app", "ARGV token digests"),
        ("-- KEYS record!", "-- NAMES record!"),
        ("-- KEYS record!", "-- KEYS 1 record · 2"),
        ("-- ARGV token app", "-- ARGV the token, app"),
        ("digests...", "digests... more"),
    ],
)
def test_a_header_that_is_not_clear_fails_to_load(right: str, wrong: str) -> None:
    """A name twice, no keys at all, words that are no names."""
    assert parse("x", HEADER, HEADER).keys == ("record", "secrets")
    bad = HEADER.replace(right, wrong)
    assert bad != HEADER
    with pytest.raises(ValueError, match="header"):
        parse("x", bad, bad)


def test_a_name_that_the_dictionary_does_not_have_fails_to_load() -> None:
    """A field that is spelled wrong is no empty field."""
    assert "'status'" in parse("x", HEADER, HEADER + "return Record.STATUS").text
    with pytest.raises(LookupError):
        parse("x", HEADER, HEADER + "return Record.STATE")


def test_what_the_header_says_is_what_the_script_gets(harness: StoreHarness) -> None:
    """Keys, arguments and a sequence, as the server sees them."""

    def run(header: str, body: str, keys: Sequence[str], args: Sequence[str]) -> Any:
        script = parse("x", header, header + body)
        return _evaluate(harness.store, script, keys, args)

    body = "return {record_key, secrets_key, latest_key or 'none', token, app, #digests, digests[1] or ''}"
    keys = ["otp:{s00}:a", "otp:{s00}:b"]
    assert run(HEADER, body, keys, ["t", "shop"]) == [*keys, "none", "t", "shop", 0, ""]
    more = [*keys, "otp:{s00}:c"]
    assert run(HEADER, body, more, ["t", "shop", "1", "2"]) == [*more, "t", "shop", 2, "1"]


def _evaluate(store: Store, script: Script, keys: Sequence[str], args: Sequence[str]) -> Any:
    return store.client.eval(script.text, len(keys), *keys, *args)


def test_the_dictionary_can_be_printed() -> None:
    """For an operator who looks into the store: each key once, with what writes it."""
    command = [sys.executable, "-m", "otp_service.storage.schema"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert re.search(r"^record  otp:\{s<shard>\}:\S+:<token>$", shown, re.MULTILINE)
    assert "    Written by: " in shown
    assert "Written by: nothing" not in shown
    assert re.findall(r"^(\w+)  otp:", shown, re.MULTILINE) == sorted(writers.writers())
    helped = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "usage:" in helped


def test_a_script_waits_for_the_replicas_or_says_why_not() -> None:
    """Of each that does not, it is written down what a failover costs that forgets what it wrote."""
    scripts = {name: load(name) for name in names()}
    assert {name for name, script in scripts.items() if not script.guarded} == set(UNGUARDED)
    assert all("run" in script.keys for name, script in scripts.items() if name not in UNGUARDED)
    for name in set(scripts) - set(UNGUARDED):
        body = Path(storage.__file__).parent.joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
        first = [line for line in body.split("\n") if line.startswith("-- include: ")][:3]
        assert first[1:] == ["-- include: _runs.lua", "-- include: _guard.lua"], "nothing is written before it"


def test_what_python_writes_itself_is_listed() -> None:
    """Each write that is no script, as the code has it: a new one without its line fails here."""
    writes = {"set", "sadd", "hset", "hsetnx", "hdel", "zadd", "zrem", "delete", "SET", "HSET", "ZADD", "DEL"}
    found: set[tuple[str, str]] = set()
    for path in sorted(Path(storage.__file__).parent.glob("*.py")):
        for owner, function in _functions(ast.parse(path.read_text(encoding="utf-8"))):
            for node in ast.walk(function):
                parts: Sequence[ast.expr] = ()
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in writes:
                    parts = node.args[:1]
                elif isinstance(node, ast.Tuple) and node.elts and isinstance(node.elts[0], ast.Constant):
                    parts = node.elts[1:2] if node.elts[0].value in writes else ()
                found |= {(part.func.attr, owner) for part in parts if _is_key(part)}
    assert found == {(key, place) for key, places in writers.PYTHON.items() for place in places}


def _is_key(part: ast.expr) -> TypeGuard[Any]:
    return isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in vars(Keys)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{each.name}", each) for each in node.body if isinstance(each, ast.FunctionDef))
