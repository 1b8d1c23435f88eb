"""Loading and running the Lua scripts: one script, one operation, one slot.

A script is sent by its digest and, where the server does not know it, once by its text. If the reply is lost, the same
call is made once more: every script either carries an operation id by which it knows its own first run, or is such
that a second run changes nothing, or only errs to the safe side (a place in a limit or in a sender's time taken in
vain). What is none of these is run without a repeat. Whatever the store then says that is not an answer becomes
`StoreUnavailable`.
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..domain.errors import StoreUnavailable
from .client import STORE_ERRORS, Store

_INCLUDE = re.compile(r"^-- include: (_[a-z]+\.lua)\n", re.MULTILINE)
_log = logging.getLogger("otp.store")


@dataclass(frozen=True, slots=True)
class Script:
    """A script's assembled text and its SHA-1, by which the server knows it."""

    name: str
    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """Read a script from the package and put its includes in place."""
    folder = files(__package__) / "lua"
    body = (folder / f"{name}.lua").read_text(encoding="utf-8")
    text = _INCLUDE.sub(lambda match: (folder / match[1]).read_text(encoding="utf-8"), body)
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Scripts:
    """Runs scripts on a store. Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self._client = store.client

    def run(self, name: str, keys: Sequence[str], args: Sequence[str | int], *, repeat: bool = True) -> Any:
        """Run a script and return its reply. Raises StoreUnavailable if there is no answer or a write is refused.

        `repeat` False for what must not happen twice and cannot know its own first run.
        """
        script = load(name)
        try:
            try:
                return self._once(script, keys, args)
            except (RedisConnectionError, RedisTimeoutError):
                if not repeat:
                    raise
                # The reply may be lost and the script have run: it will know its own operation id.
                return self._once(script, keys, args)
            except ReadOnlyError:
                # Nothing has run. The pool has let go of the demoted server and looks for the primary.
                return self._once(script, keys, args)
        except ResponseError as error:
            if "Script" in str(error) or "user_script" in str(error):
                _log.error("script failed", extra={"script": name, "reason": type(error).__name__})
            raise StoreUnavailable("The store refuses the operation.") from error
        except STORE_ERRORS as error:
            raise StoreUnavailable("The store does not answer.") from error

    def _once(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        try:
            return self._client.evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return self._client.eval(script.text, len(keys), *keys, *args)
