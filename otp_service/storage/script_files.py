"""Reading the Lua scripts of the package and what their headers declare.

A header names the keys and arguments; the script gets them as local variables, keys with `_key` at the end:

    -- KEYS record! secrets! optouts [sticky]      `!`: the script writes it; those in brackets may be left out together
    -- ARGV operation token tombstone_ms digests...     the last one may take a sequence of values

A script that records events also gets `caller`, without being asked for it: who causes them (see `callers`). One that
includes `_guard.lua` gets `replicas`: for how many its caller will wait (see `replica_guard`).

The names of the store's dictionary (`Record.STATUS`) are replaced by what they stand for, and functions of included
parts that a script never calls are left out. All of this happens once,
when a script is loaded: the server runs plain text.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import itemgetter
from typing import Any

from .callers import caller
from .schema.lua_names import with_literals

Value = str | int | bytes
_Taker = Callable[[Mapping[str, Any]], Sequence[Any]]
FIRST_LINE = "#!lua\n"
"""Without it a Cluster would let a script touch keys of other slots."""

GUARD = "-- include: _guard.lua\n"
_INCLUDE = re.compile(r"^-- include: ((?:[a-z_]+/)?_[a-z_]+\.lua)\n", re.MULTILINE)
_DECLARATION = re.compile(r"^-- (KEYS|ARGV) +([^\n]*(?:\n--  +[^\n]*)*)", re.MULTILINE)
_KEYS = re.compile(r"(?P<needed>[a-z0-9_! ]+)(?:\[(?P<optional>[a-z0-9_! ]+)\])?")
_CALLER = re.compile(r"^[^-\n]*\bcaller\b", re.MULTILINE)
_FUNCTION = re.compile(r"^local function (\w+)\((?:[^\n]* end|.*?\nend)$", re.MULTILINE | re.DOTALL)
_FUNCTION_NAME = re.compile(r"^local function (\w+)\(", re.MULTILINE)
_COMMENT = re.compile(r"--[^\n]*")
_ARGUMENTS = re.compile(r"(?:[a-z][a-z0-9_]* )*[a-z][a-z0-9_]*(?:\.\.\.)?")


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text as it is sent, its SHA-1 by which the server knows it, and the names that its header declares.

    `optional` keys may be left out, all of them together. `written` are the keys that the script may change. `rest` is
    an argument that takes a sequence. `names_caller`: its first argument is who causes what it records. `guarded`:
    before all others comes for how many replicas is waited.
    """

    name: str
    text: str
    sha: str
    keys: tuple[str, ...]
    optional: tuple[str, ...]
    written: frozenset[str]
    args: tuple[str, ...]
    rest: str | None
    names_caller: bool
    guarded: bool
    take_keys: "_Taker"
    take_all_keys: "_Taker"
    take_args: "_Taker"

    def order_keys(self, keys: Mapping[str, str]) -> Sequence[str]:
        """The keys in the order of the header. Raises TypeError for a missing or unknown name."""
        count = len(keys)
        if count == len(self.keys):
            wanted, take = self.keys, self.take_keys
        else:
            wanted, take = self.keys + self.optional, self.take_all_keys
        try:
            ordered = take(keys)
        except KeyError as error:
            raise TypeError(f"{self.name} needs the key {error}") from None
        if len(wanted) != count:
            raise TypeError(f"{self.name} has no keys {sorted(set(keys) - set(wanted))}")
        return ordered

    def order_args(self, args: Mapping[str, Value | Sequence[Value]]) -> list[Any]:
        """The arguments in the order of the header. Raises TypeError for a missing or unknown name."""
        try:
            ordered: Sequence[Any] = self.take_args(args)
            rest = args[self.rest] if self.rest is not None else ()
        except KeyError as error:
            raise TypeError(f"{self.name} needs the argument {error}") from None
        if len(self.args) + (self.rest is not None) != len(args):
            raise TypeError(f"{self.name} has no arguments {sorted(set(args) - {*self.args, self.rest})}")
        if isinstance(rest, (str, int, bytes)):
            raise TypeError(f"{self.name} takes a sequence as {self.rest}")
        return [caller(), *ordered, *rest] if self.names_caller else [*ordered, *rest]


def names() -> list[str]:
    """The names of all scripts of the package; what begins with an underscore is only a part of others."""
    folder = files(__package__) / "lua"
    found = [f"{group.name}/{path.name}" for group in folder.iterdir() if group.is_dir() for path in group.iterdir()]
    return sorted(name.removesuffix(".lua") for name in found if not name.rpartition("/")[2].startswith("_"))


@cache
def load(name: str) -> Script:
    """Read a script (`verification/check`) from the package. Raises ValueError for a header that declares nothing or
    something twice, LookupError for a name that the dictionary does not have."""
    return parse(name, *read(name))


def read(name: str) -> tuple[str, str]:
    """The text of a script's file, and the same with the parts that it includes."""
    folder = files(__package__) / "lua"
    body = folder.joinpath(*f"{name}.lua".split("/")).read_text(encoding="utf-8")
    return body, _INCLUDE.sub(lambda match: (folder / match[1]).read_text(encoding="utf-8"), body)


def parse(name: str, head: str, text: str) -> Script:
    """A script of this header and whole text. Raises as `load`."""
    declared = {word: " ".join(names.replace("\n--", " ").split()) for word, names in _DECLARATION.findall(head)}
    keys = _KEYS.fullmatch(declared.get("KEYS", ""))
    args = declared.get("ARGV", "")
    if keys is None or not _ARGUMENTS.fullmatch(args):
        raise ValueError(f"{name}: the header declares no keys or no arguments")
    needed, optional, plain = _bare(keys["needed"]), _bare(keys["optional"] or ""), args.removesuffix("...").split()
    if len({*needed, *optional}) != len(needed + optional) or len(set(plain)) != len(plain):
        raise ValueError(f"{name}: the header declares a name twice")
    rest = plain.pop() if args.endswith("...") else None
    names_caller = _CALLER.search(text) is not None
    guarded = GUARD in head
    given = [*(["replicas"] if guarded else []), *(["caller"] if names_caller else []), *plain]
    text = without_unused(with_literals(text.removeprefix(FIRST_LINE)))
    text = FIRST_LINE + _locals(needed + optional, given, rest) + text
    return Script(
        name=name,
        text=text,
        sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(),
        keys=needed,
        optional=optional,
        written=frozenset(
            word[:-1] for word in declared["KEYS"].replace("]", " ").replace("[", " ").split() if word[-1] == "!"
        ),
        args=tuple(plain),
        rest=rest,
        names_caller=names_caller,
        guarded=guarded,
        take_keys=_taker(needed),
        take_all_keys=_taker(needed + optional),
        take_args=_taker(plain),
    )


def _taker(names: Sequence[str]) -> "_Taker":
    """The values of these names in their order, in one step of C."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)


def _bare(text: str) -> tuple[str, ...]:
    return tuple(text.replace("!", "").split())


def without_unused(text: str) -> str:
    """The script without the functions of its included parts that it never calls: each would be made anew at every
    call. Lines stay where they are."""
    while True:
        counts = Counter(re.findall(r"\w+", _COMMENT.sub("", text)))
        unused = [match for match in _FUNCTION_NAME.finditer(text) if counts[match[1]] == 1]
        if not unused:
            return text
        for name in reversed(unused):
            whole = _FUNCTION.match(text, name.start())
            assert whole is not None, name[1]
            text = text[: whole.start()] + "\n" * whole[0].count("\n") + text[whole.end() :]


def _locals(keys: Sequence[str], args: Sequence[str], rest: str | None) -> str:
    """One line, so that the line numbers in the server's errors stay near those of the file."""
    lines = [f"local {', '.join(f'{name}_key' for name in keys)} = unpack(KEYS)"]
    if args:
        lines.append(f"local {', '.join(args)} = unpack(ARGV, 1, {len(args)})")
    if rest is not None:
        lines.append(f"local {rest} = {{unpack(ARGV, {len(args) + 1})}}")
    return " ".join(lines) + "\n"
