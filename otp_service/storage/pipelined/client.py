"""The client that stands where redis-py's stands, for requests that run in an event loop.

A command suspends the request that sent it (`greenlets.wait`) and never blocks the loop. What a Cluster answers with a
redirection is run once more by redis-py in a thread: it happens only while slots move.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any

from redis.exceptions import AskError, ClusterDownError, RedisError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ...greenlets import off_loop, wait
from ..answering import STORE_ERRORS
from ..cluster import GuardedCluster
from ..confirmed import of_mark, run_confirmed_in
from ..packing import packed
from ..primary import is_doubtful
from ..store import fields_of, key_of
from .confirmed import ConfirmedLinks
from .connection import Done
from .routes import Routes

_REDIRECTIONS = (AskError, TryAgainError)
"""MovedError is an AskError."""

Routed = tuple[Sequence[Any], str]
"""A command, and the key by which it finds its node."""

_LOST = (RedisConnectionError, RedisTimeoutError, ClusterDownError)


class PipelinedClient:
    """Runs commands for the requests of one event loop. Raises redis' errors, as redis-py does."""

    def __init__(self, loop: asyncio.AbstractEventLoop, routes: Routes, elsewhere: Any) -> None:
        """`elsewhere` is redis-py's client of the same store, for redirections."""
        self._loop = loop
        self._routes = routes
        self._elsewhere = elsewhere

    def execute_command(self, *command: Any, target_nodes: Any = None, **_: Any) -> Any:
        """Run one command and return its reply."""
        return self._run(command, key_of(command), target_nodes)

    def _run(self, command: tuple[Any, ...], key: str, node: Any = None) -> Any:
        link = self._routes.link(key, node)
        reply = wait(partial(link.send, packed(command)))
        if isinstance(reply, RedisError):
            return self._failed(command, reply, link.noticed)
        return reply

    def run_confirmed(
        self, command: Sequence[Any], replicas: int, timeout_ms: int, mark: Sequence[Any] = ()
    ) -> tuple[Any, int]:
        """As `Store.run_confirmed`, without stopping what other requests send."""
        links = self._routes.confirmed(key_of(command))
        reply, confirmed = wait(
            partial(_send_confirmed, links, packed(command), packed(mark) if mark else b"", (replicas, timeout_ms))
        )
        if isinstance(reply, _REDIRECTIONS) and isinstance(self._elsewhere, GuardedCluster):
            self._routes.refresh()
            again = partial(run_confirmed_in, self._elsewhere, key_of(command), command, (replicas, timeout_ms), mark)
            return off_loop(self._loop, again)
        if isinstance(reply, RedisError):
            self._failed(command, reply, links.noticed)
        if isinstance(confirmed, RedisError):
            # Not run elsewhere here: the command has run already.
            self._look_again(confirmed, links.noticed)
            raise of_mark(confirmed) from confirmed
        return reply, int(confirmed)

    def _failed(self, command: Sequence[Any], error: RedisError, noticed: Callable[[Exception], None]) -> Any:
        if isinstance(error, _REDIRECTIONS):
            self._routes.refresh()
            return self._redirected(command)
        self._look_again(error, noticed)
        raise error

    def _look_again(self, error: RedisError, noticed: Callable[[Exception], None]) -> None:
        noticed(error)
        if isinstance(error, (*_LOST, *_REDIRECTIONS)) or is_doubtful(error):
            self._routes.refresh()

    def _redirected(self, command: Sequence[Any]) -> Any:
        return off_loop(self._loop, partial(self._elsewhere.execute_command, *command))

    def close(self) -> None:
        """End all connections."""
        self._routes.close()

    # ---- the commands that the stores use --------------------------------------------------------------------------

    def evalsha(self, sha: str, count: int, *values: Any) -> Any:
        """Run a script by its digest."""
        return self._run(("EVALSHA", sha, count, *values), values[0])

    def eval(self, text: str, count: int, *values: Any) -> Any:
        """Run a script by its text."""
        return self.execute_command("EVAL", text, count, *values)

    def get(self, key: str) -> Any:
        """The text of a key, or None."""
        return self.execute_command("GET", key)

    def hget(self, key: str, field: str) -> Any:
        """The text of one field of a hash, or None."""
        return self.execute_command("HGET", key, field)

    def hgetall(self, key: str) -> dict[str, str]:
        """All fields of a hash."""
        return fields_of(self.execute_command("HGETALL", key))

    def lrange(self, key: str, first: int, last: int) -> Any:
        """Part of a list."""
        return self.execute_command("LRANGE", key, first, last)

    def time(self, target_nodes: Any = None) -> tuple[int, int]:
        """The server's clock: seconds and microseconds."""
        seconds, micros = self.execute_command("TIME", target_nodes=target_nodes)
        return int(seconds), int(micros)

    def pipeline(self, transaction: bool = False) -> "Pipeline":
        """Commands that leave together. There are no transactions here."""
        if transaction:
            raise NotImplementedError
        return Pipeline(self)

    def send_all(self, commands: Sequence[Routed]) -> list[Any]:
        """Run commands at once; the reply or the error of each."""
        replies: list[Any] = [None] * len(commands)
        if commands:
            wait(partial(self._send_all, commands, replies))
        return [self._settled(*pair) for pair in zip(commands, replies, strict=True)]

    def _settled(self, routed: Routed, reply: Any) -> Any:
        if not isinstance(reply, RedisError):
            return reply
        command, key = routed
        try:
            return self._failed(command, reply, self._routes.link(key, None).noticed)
        except STORE_ERRORS as error:
            return error

    def _send_all(self, commands: Sequence[Routed], replies: list[Any], done: Done) -> None:
        left = len(commands)

        def answered(at: int, reply: Any) -> None:
            nonlocal left
            replies[at] = reply
            left -= 1
            if not left:
                done(None)

        for at, (command, key) in enumerate(commands):
            try:
                self._routes.link(key, None).send(packed(command), partial(answered, at))
            except STORE_ERRORS as error:
                self._loop.call_soon(answered, at, error)

    # ---- what a Cluster's client has -------------------------------------------------------------------------------

    def get_node_from_key(self, key: str) -> Any:
        """The node of a Cluster that holds the key."""
        return self._elsewhere.get_node_from_key(key)

    def get_primaries(self) -> Any:
        """The primaries of a Cluster."""
        return self._elsewhere.get_primaries()


def _send_confirmed(links: ConfirmedLinks, command: bytes, mark: bytes, waits: tuple[int, int], done: Done) -> None:
    links.send(command, *waits, lambda *answers: done(answers), mark)


class Pipeline:
    """Commands that are collected, then sent at once."""

    def __init__(self, client: PipelinedClient) -> None:
        self._client = client
        self._commands: list[Routed] = []

    def __enter__(self) -> "Pipeline":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._commands.clear()

    def execute_command(self, *command: Any, near: str = "", **_: Any) -> None:
        """Collect one command. In a Cluster it goes to the node that has its key, or the key `near`."""
        self._commands.append((command, key_of(command) or near))

    def execute(self, raise_on_error: bool = False) -> list[Any]:
        """The reply or the error of each command."""
        if raise_on_error:
            raise NotImplementedError
        return self._client.send_all(self._commands)
