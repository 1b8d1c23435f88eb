"""An open store: independent commands in one round trip, the clock of the server that holds a key.

In a Cluster a dead shard fails its own commands only.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..domain.errors import StoreUnavailable
from .answering import STORE_ERRORS, answering
from .confirmed import run_confirmed, run_confirmed_in
from .primary import noticed
from .sentinels import Sentinels
from .unsent import UnsentError

NODE_PAUSE_S = 1.0
"""A node of a Cluster that did not answer `gather` is not asked by it again for so long."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Store:
    """An open store. `client` answers quickly or fails; `blocking` is for reads that wait."""

    client: "redis.Redis"
    blocking: "redis.Redis"
    is_cluster: bool
    finds_nodes: bool = False
    """Whether a pipeline of `client` sends each command to the node that has its key, all at once."""

    sentinels: Sentinels | None = None
    """Those that watch the store, if it is one of Sentinel's."""

    _paused_until: dict[str, float] = field(default_factory=dict, repr=False, compare=False)
    """Until when (monotonic seconds) a node, by its name, is not asked again."""

    def close(self) -> None:
        """Close all connections."""
        if self.sentinels is not None:
            self.sentinels.close()
        self.client.close()
        self.blocking.close()

    def gather(self, commands: Sequence[Sequence[str | int | bytes]]) -> list[Any]:
        """Run independent commands, each with one key; the reply or the error of each.

        On one server, or from an event loop, in one round trip. Else in a Cluster one by one, so that a dead shard
        fails its own commands only, and all of them for one timeout: its node is not asked again for `NODE_PAUSE_S`.
        """
        if self.is_cluster and not self.finds_nodes:
            return [self._on_node(key_of(command), command) for command in commands]
        return self._pipelined(commands, "")

    def _pipelined(self, commands: Sequence[Sequence[str | int | bytes]], near: str) -> list[Any]:
        """`near`: a key beside which commands without a key are run."""
        more = {"near": near} if self.finds_nodes else {}
        try:
            with self.client.pipeline(transaction=False) as pipe:
                for command in commands:
                    cast("Any", pipe).execute_command(*command, **_reading(command), **more)
                replies = list(pipe.execute(raise_on_error=False))
        except STORE_ERRORS as error:
            return [error] * len(commands)
        if not self.finds_nodes:
            for refused in (reply for reply in replies if isinstance(reply, ResponseError)):
                noticed(self.client, refused)
        return replies

    def _on_node(self, key: str, command: Sequence[str | int | bytes]) -> Any:
        try:
            return self._asked(self._node(key), partial(self._run, command))
        except STORE_ERRORS as error:
            return error

    def _run(self, command: Sequence[str | int | bytes], node: Any) -> Any:
        # The node is named, because to find the keys of some commands (XREADGROUP) redis-py would ask a node, any node.
        return cast("Any", self.client).execute_command(*command, target_nodes=node, **_reading(command))

    def run_confirmed(
        self,
        command: Sequence[str | int | bytes],
        replicas: int,
        timeout_ms: int,
        mark: Sequence[str | int | bytes] = (),
    ) -> tuple[Any, int]:
        """Run a command and wait until so many replicas have what it wrote: its reply, and how many have it then.

        `mark` is a write that is run behind it. With it all that was written before is waited for too, also where the
        command itself writes nothing. All of it leaves in one write. The wait ends after `timeout_ms` milliseconds,
        which must be well under `connect.TIMEOUT_S`. A request in an event loop stops no other one by it. Raises what
        redis-py raises: if there is no answer, nobody knows whether the command ran.
        """
        client: Any = self.client
        if self.finds_nodes:
            return cast("tuple[Any, int]", client.run_confirmed(command, replicas, timeout_ms, mark))
        if self.is_cluster:
            return run_confirmed_in(client, key_of(command), command, (replicas, timeout_ms), mark)
        return run_confirmed(client, command, replicas, timeout_ms, mark)

    def read_group(self, command: Sequence[str | int]) -> Any:
        """Run an XREADGROUP that may wait, of streams on one node. Raises what redis-py raises."""
        client = cast("Any", self.blocking)
        where = {"target_nodes": client.get_node_from_key(key_of(command))} if self.is_cluster else {}
        return client.execute_command(*command, **where)

    def _node(self, key: str) -> Any:
        node = cast("Any", self.client).get_node_from_key(key)
        if node is None:
            raise RedisClusterException("No node has the slot of this key.")
        return node

    def node_of(self, key: str) -> str:
        """The name of the node of a Cluster that holds the key; empty if none has its slot, and on one server."""
        try:
            return str(self._node(key).name) if self.is_cluster else ""
        except STORE_ERRORS:
            return ""

    def _asked(self, node: Any, ask: Callable[[Any], T]) -> T:
        if self._is_node_paused(node):
            raise UnsentError("The node did not answer a moment ago.")
        try:
            return ask(node)
        except (RedisConnectionError, RedisTimeoutError):
            self._paused_until[node.name] = time.monotonic() + NODE_PAUSE_S
            raise

    def read_at(self, commands: Sequence[Sequence[str | int | bytes]]) -> tuple[list[Any], int]:
        """Run commands on keys of one slot, and tell the clock of their server: Unix milliseconds.

        In one round trip, but for redis-py's client of a Cluster. Raises StoreUnavailable.
        """
        near = key_of(commands[0])
        with answering():
            if self.is_cluster and not self.finds_nodes:
                client = cast("Any", self.client)
                return [client.execute_command(*command) for command in commands], self.time_ms(near)
            replies = self._pipelined([*commands, ("TIME",)], near)
            for reply in replies:
                if isinstance(reply, STORE_ERRORS):
                    raise reply
        return replies[:-1], _milliseconds(replies[-1])

    def read_beside(
        self, commands: Sequence[Sequence[str | int | bytes]], other: Sequence[str | int | bytes]
    ) -> tuple[list[Any], int, Any]:
        """As `read_at`, and a command on another key in the same round trip: its reply or error comes last.

        None where two servers would be asked one after the other.
        """
        if self.is_cluster and not self.finds_nodes:
            return *self.read_at(commands), None
        with answering():
            replies = self._pipelined([*commands, ("TIME",), other], key_of(commands[0]))
            for reply in replies[:-1]:
                if isinstance(reply, STORE_ERRORS):
                    raise reply
        return replies[:-2], _milliseconds(replies[-2]), replies[-1]

    def time_ms(self, near: str) -> int:
        """The clock of the server that holds the key `near`, in Unix milliseconds. Raises StoreUnavailable."""
        with answering():
            if not self.is_cluster:
                return _milliseconds(self.client.time())
            return self._asked(self._node(near), self._node_time_ms)

    def _node_time_ms(self, node: Any) -> int:
        return _milliseconds(cast("Any", self.client).time(target_nodes=node))

    def is_paused(self, key: str) -> bool:
        """Whether the node of a Cluster that holds the key did not answer a moment ago."""
        try:
            return self.is_cluster and self._is_node_paused(self._node(key))
        except STORE_ERRORS:
            return True

    def _is_node_paused(self, node: Any) -> bool:
        return time.monotonic() < self._paused_until.get(node.name, 0.0)

    def times_ms(self, near: Sequence[str]) -> list[int | None]:
        """The clock near each of these keys, each server asked once; None where it does not answer."""
        known: dict[str, int | None] = {}
        return [self._time_of(key, known) for key in near]

    def _time_of(self, key: str, known: dict[str, int | None]) -> int | None:
        try:
            name = self._node(key).name if self.is_cluster else ""
            if name not in known:
                known[name] = None
                known[name] = self.time_ms(key)
            return known[name]
        except (StoreUnavailable, *STORE_ERRORS):
            return None

    def any_time_ms(self) -> int:
        """The clock of the server, or of the first primary of a Cluster that answers. Raises StoreUnavailable."""
        with answering():
            if not self.is_cluster:
                return _milliseconds(self.client.time())
            return self._first(self._node_time_ms)

    def _first(self, ask: Callable[[Any], T]) -> T:
        failure: Exception = RedisClusterException("The Cluster has no primaries.")
        for node in cast("Any", self.client).get_primaries():
            try:
                return self._asked(node, ask)
            except STORE_ERRORS as error:
                failure = error
        raise failure


def fields_of(reply: Any) -> dict[str, str]:
    """All fields of a hash, from the reply to HGETALL as either client gives it."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def key_of(command: Sequence[Any]) -> str:
    """The key by which a Cluster routes a command; empty if it has none."""
    if command[0] in ("EVALSHA", "EVAL"):
        return str(command[3])
    if "STREAMS" in command:
        return str(command[command.index("STREAMS") + 1])
    return str(command[1]) if len(command) > 1 else ""


def _reading(command: Sequence[str | int | bytes]) -> dict[str, Any]:
    """How redis-py is to read the reply, where the command alone does not say it."""
    return {"parse_justid": True} if command[-1] == "JUSTID" else {}


def _milliseconds(answer: Any) -> int:
    seconds, micros = answer
    return int(seconds) * 1000 + int(micros) // 1000
