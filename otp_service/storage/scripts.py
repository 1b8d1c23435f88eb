"""Running the Lua scripts by name: one script, one operation, one slot.

A script is sent by its digest and, where the server does not know it, once by its text. If the reply is lost, the same
call is made once more: every script either carries an operation id by which it knows its own first run, or is such
that a second run changes nothing, or only errs to the safe side (a slot of a limit or of a sender's rate taken in
vain). What is none of these is run without a repeat. An error of the store becomes `StoreUnavailable`.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..domain.errors import StoreUnavailable
from .answering import STORE_ERRORS, unavailable
from .replica_guard import NO_REPLICAS, WAIT_MS, ElsewhereError, ReplicaGuard, UnconfirmedError
from .schema.fields import StoreRun
from .script_files import Script, Value, load
from .store import Store
from .unsent import wrote_nothing

Call = tuple[Mapping[str, str], Mapping[str, Value]]
"""The keys and the arguments of a call."""

NamedCall = tuple[str, Mapping[str, str], Mapping[str, Value]]
"""The script of a call (`limit/take`), its keys and its arguments."""

OrderedCall = tuple[Script, Sequence[str], list[Any]]
"""The same with keys and arguments in the order of the script's header."""

UNDECIDED = "UNDECIDED"
"""How a script says that it is not known yet what became of the store in a restart."""

_LOST = (RedisConnectionError, RedisTimeoutError)
_log = logging.getLogger("otp.store")


class Scripts:
    """Runs scripts on a store. Safe for many threads."""

    def __init__(self, store: Store) -> None:
        self.guard = ReplicaGuard()
        self._store = store
        self._client = store.client

    def call(self, name: str, keys: Mapping[str, str], *, repeat: bool = True, **args: Value | Sequence[Value]) -> Any:
        """Run a script (`verification/check`) and return its reply.

        `repeat` False for what must not happen twice and cannot know its own first run. Raises TypeError for names that
        the script does not declare, StoreUnavailable if there is no answer or a write is refused.
        """
        script = load(name)
        return self._run(script, script.order_keys(keys), script.order_args(args), repeat=repeat)

    def call_together(self, name: str, calls: Sequence[Call], *, repeat: bool = True) -> list[Any]:
        """Run a script for each of these keys and arguments in one round trip; the reply or StoreUnavailable of each.

        What a Cluster keeps on several nodes takes a round trip for each of them.
        """
        return self.call_all([(name, keys, args) for keys, args in calls], repeat=repeat)

    def are_on_replicas(self, mark: Sequence[str], run_key: str) -> bool:
        """Whether all replicas have what was written until now to this server. `mark`: a write without meaning.

        True where none are expected. False too if there is no answer.
        """
        if not self.guard.on:
            return True
        try:
            count = self.guard.waits_for(run_key)
            return not count or self._store.run_confirmed(mark, count, WAIT_MS)[1] >= count
        except STORE_ERRORS:
            return False

    def call_all(self, calls: Sequence[NamedCall], *, repeat: bool = True) -> list[Any]:
        """The same for several scripts: all of these calls in one round trip."""
        ordered = [_ordered(load(name), keys, args) for name, keys, args in calls]
        if len(ordered) == 1 or any(script.guarded for script, _, _ in ordered):
            return [self._reply_or_error(*call, repeat=repeat) for call in ordered]
        return self._run_together(ordered, repeat=repeat)

    def _run_together(self, calls: Sequence[OrderedCall], *, repeat: bool) -> list[Any]:
        replies = self._store.gather([("EVALSHA", script.sha, len(keys), *keys, *args) for script, keys, args in calls])
        again = (NoScriptError, ReadOnlyError, *(_LOST if repeat else ()))
        for at, reply in enumerate(replies):
            if isinstance(reply, again):
                may_have_run = isinstance(reply, _LOST) and not wrote_nothing(reply)
                replies[at] = self._reply_or_error(*calls[at], repeat=False, may_have_run=may_have_run)
            elif isinstance(reply, STORE_ERRORS):
                replies[at] = unavailable(reply)
        return replies

    def _reply_or_error(
        self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool, may_have_run: bool = False
    ) -> Any:
        try:
            return self._run(script, keys, args, repeat=repeat)
        except StoreUnavailable as error:
            # What this try did not write, the one before it may have written.
            error.nothing_written = error.nothing_written and not may_have_run
            return error

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        may_have_run = False
        try:
            try:
                return self._once(script, keys, args)
            except _LOST as error:
                if not repeat:
                    raise
                # The reply may be lost and the script have run: it will know its own operation id.
                may_have_run = not wrote_nothing(error)
                return self._once(script, keys, args)
            except ElsewhereError:
                if not repeat:
                    raise
                # It has run: on the right server it will know its own operation id.
                may_have_run = True
                return self._once(script, keys, args)
            except ReadOnlyError:
                # Nothing has run. The pool has dropped the demoted server and looks for the primary.
                return self._once(script, keys, args)
        except ResponseError as error:
            if UNDECIDED not in str(error) and ("Script" in str(error) or "user_script" in str(error)):
                _log.error("script failed", extra={"script": script.name, "reason": type(error).__name__})
            raise unavailable(error, nothing_written=not may_have_run and wrote_nothing(error)) from error
        except STORE_ERRORS as error:
            raise unavailable(error, nothing_written=not may_have_run and wrote_nothing(error)) from error

    def _once(self, script: Script, keys: Sequence[str], args: Sequence[Value]) -> Any:
        if script.guarded and self.guard.on:
            return self._confirmed(script, keys, args)
        return self._unconfirmed(script, keys, ["", *args] if script.guarded else args)

    def _unconfirmed(self, script: Script, keys: Sequence[str], args: Sequence[Value]) -> Any:
        try:
            return self._client.evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return self._client.eval(script.text, len(keys), *keys, *args)

    def _confirmed(self, script: Script, keys: Sequence[str], args: Sequence[Value]) -> Any:
        """Run it and wait until all replicas have what it wrote, and all that was written before."""
        run_key = keys[script.keys.index("run")]
        try:
            return self._confirmed_once(script, keys, args, run_key)
        except UnconfirmedError:
            raise
        except ResponseError as error:
            if not str(error).startswith(NO_REPLICAS) or not self.guard.has_all(run_key):
                raise
            # Another number follows than this process knows of, and nothing was written: a replica may have joined.
            self._count_replicas(run_key)
            return self._confirmed_once(script, keys, args, run_key)

    def _count_replicas(self, run_key: str) -> None:
        counting = load("store/count_replicas")
        _, follow, need = self._once(counting, [run_key], counting.order_args({"lower_in": "", "lower_to": ""}))
        self.guard.learn_counted(run_key, follow, need)

    def _confirmed_once(self, script: Script, keys: Sequence[str], args: Sequence[Value], run_key: str) -> Any:
        count = self.guard.waits_for(run_key)
        if not count:
            return self._unconfirmed(script, keys, [count, *args])
        # A script that knows its operation writes nothing, and waiting would wait for nothing: hence the mark.
        mark = ("HSET", run_key, StoreRun.MARK, "1")
        called = (len(keys), *keys, count, *args)
        try:
            reply, confirmed = self._store.run_confirmed(("EVALSHA", script.sha, *called), count, WAIT_MS, mark)
        except NoScriptError:
            reply, confirmed = self._store.run_confirmed(("EVAL", script.text, *called), count, WAIT_MS, mark)
        self.guard.require(count, confirmed)
        return reply


def _ordered(script: Script, keys: Mapping[str, str], args: Mapping[str, Value]) -> OrderedCall:
    return script, script.order_keys(keys), script.order_args(args)
