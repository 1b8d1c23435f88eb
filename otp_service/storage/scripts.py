"""Loading and running the Lua scripts by name: one script, one operation, one slot.

A script's header declares its keys and arguments by name. Lua gets them as local variables (`record_key`,
`tombstone_ms`), Python passes them by name, and a missing, extra or unknown one is a TypeError before anything is sent:

    -- KEYS record! secrets timeline! [latest]     `!`: the script writes it; those in brackets may be left out together
    -- ARGV op token app tombstone_ms digests...   the last one may take a sequence of values

A script is sent by its digest and, where the server does not know it, once by its text. If the reply is lost, the same
call is made once more: every script either carries an operation id by which it knows its own first run, or is such
that a second run changes nothing, or only errs to the safe side (a slot of a limit or of a sender's rate taken in
vain). What is none of these is run without a repeat. An error of the store becomes `StoreUnavailable`.
"""

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..domain.errors import StoreUnavailable
from .answering import REFUSED, STORE_ERRORS
from .client import Store
from .schema.lua_names import with_literals

Value = str | int
_INCLUDE = re.compile(r"^-- include: ((?:[a-z]+/)?_[a-z_]+\.lua)\n", re.MULTILINE)
_DECLARATION = re.compile(r"^-- (KEYS|ARGV) +([^\n]*(?:\n--  +[^\n]*)*)", re.MULTILINE)
_WRITTEN = re.compile(r"([a-z][a-z0-9_]*)!")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_log = logging.getLogger("otp.store")


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text as it is sent, its SHA-1 by which the server knows it, and the names that its header declares.

    `optional` keys may be left out, all of them together. `written` are the keys that the script may change. `rest` is
    an argument that takes a sequence.
    """

    name: str
    text: str
    sha: str
    keys: tuple[str, ...]
    optional: tuple[str, ...]
    written: frozenset[str]
    args: tuple[str, ...]
    rest: str | None

    def order_keys(self, keys: Mapping[str, str]) -> list[str]:
        """The keys in the order of the header. Raises TypeError for a missing or unknown name."""
        wanted = self.keys if len(keys) == len(self.keys) else self.keys + self.optional
        try:
            ordered = [keys[name] for name in wanted]
        except KeyError as error:
            raise TypeError(f"{self.name} needs the key {error}") from None
        if len(ordered) != len(keys):
            raise TypeError(f"{self.name} has no keys {sorted(set(keys) - set(wanted))}")
        return ordered

    def order_args(self, args: Mapping[str, Value | Sequence[Value]]) -> list[Any]:
        """The arguments in the order of the header. Raises TypeError for a missing or unknown name."""
        try:
            ordered: list[Any] = [args[name] for name in self.args]
            rest = args[self.rest] if self.rest is not None else ()
        except KeyError as error:
            raise TypeError(f"{self.name} needs the argument {error}") from None
        if len(ordered) + (self.rest is not None) != len(args):
            raise TypeError(f"{self.name} has no arguments {sorted(set(args) - {*self.args, self.rest})}")
        if isinstance(rest, (str, int)):
            raise TypeError(f"{self.name} takes a sequence as {self.rest}")
        return [*ordered, *rest]


def names() -> list[str]:
    """The names of all scripts of the package; what begins with an underscore is only a part of others."""
    folder = files(__package__) / "lua"
    found = [path.name for path in folder.iterdir() if path.name.endswith(".lua")]
    found += [f"{group.name}/{path.name}" for group in folder.iterdir() if group.is_dir() for path in group.iterdir()]
    return sorted(name.removesuffix(".lua") for name in found if not name.rpartition("/")[2].startswith("_"))


@cache
def load(name: str) -> Script:
    """Read a script (`verification/check`) from the package, put its includes and the names of its header in place."""
    folder = files(__package__) / "lua"
    body = folder.joinpath(*f"{name}.lua".split("/")).read_text(encoding="utf-8")
    declared: dict[str, str] = dict(_DECLARATION.findall(body))
    if "KEYS[" in body:
        declared = {}  # To be removed: a script that is not called by name yet.
    keys, optional = _key_names(declared.get("KEYS", ""))
    args, rest = _argument_names(declared.get("ARGV", ""))
    written = frozenset(_WRITTEN.findall(declared.get("KEYS", "")))
    text = _INCLUDE.sub(lambda match: (folder / match[1]).read_text(encoding="utf-8"), body)
    head = "#!lua\n"
    # One line, so that the line numbers in errors stay near.
    text = head + _locals(keys + optional, args, rest) + with_literals(text.removeprefix(head))
    return Script(
        name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), keys, optional, written, args, rest
    )


def _key_names(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    needed, _, optional = text.replace("\n--", " ").partition("[")
    return tuple(_NAME.findall(needed)), tuple(_NAME.findall(optional))


def _argument_names(text: str) -> tuple[tuple[str, ...], str | None]:
    words = text.replace("\n--", " ").split()
    if words and words[-1].endswith("..."):
        return tuple(words[:-1]), words[-1].removesuffix("...")
    return tuple(words), None


def _locals(keys: Sequence[str], args: Sequence[str], rest: str | None) -> str:
    lines = []
    if keys:
        lines.append(f"local {', '.join(f'{name}_key' for name in keys)} = unpack(KEYS)")
    if args:
        lines.append(f"local {', '.join(args)} = unpack(ARGV, 1, {len(args)})")
    if rest is not None:
        lines.append(f"local {rest} = {{unpack(ARGV, {len(args) + 1})}}")
    return " ".join(lines) + ("\n" if lines else "")


class Scripts:
    """Runs scripts on a store. Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._client = store.client

    def call(self, name: str, keys: Mapping[str, str], *, repeat: bool = True, **args: Value | Sequence[Value]) -> Any:
        """Run a script (`verification/check`) and return its reply.

        `repeat` False for what must not happen twice and cannot know its own first run. Raises TypeError for names that
        the script does not declare, StoreUnavailable if there is no answer or a write is refused.
        """
        script = load(name)
        return self._run(script, script.order_keys(keys), script.order_args(args), repeat=repeat)

    def run(self, name: str, keys: Sequence[str], args: Sequence[str | int], *, repeat: bool = True) -> Any:
        """To be removed: a script that is not called by name yet."""
        return self._run(load(name), keys, args, repeat=repeat)

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        try:
            try:
                return self._once(script, keys, args)
            except (RedisConnectionError, RedisTimeoutError):
                if not repeat:
                    raise
                # The reply may be lost and the script have run: it will know its own operation id.
                return self._once(script, keys, args)
            except ReadOnlyError:
                # Nothing has run. The pool has dropped the demoted server and looks for the primary.
                return self._once(script, keys, args)
        except ResponseError as error:
            if "Script" in str(error) or "user_script" in str(error):
                _log.error("script failed", extra={"script": script.name, "reason": type(error).__name__})
            raise StoreUnavailable("The store refuses the operation.") from error
        except STORE_ERRORS as error:
            raise StoreUnavailable(REFUSED) from error

    def _once(self, script: Script, keys: Sequence[str], args: Sequence[Value]) -> Any:
        try:
            return self._client.evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return self._client.eval(script.text, len(keys), *keys, *args)
