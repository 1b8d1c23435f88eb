"""A command whose write must reach replicas, over redis-py's clients: the command and WAIT in one round trip.

Each call has a connection of its own, so nobody waits behind it. For event loops see `pipelined.confirmed`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import redis
from redis.exceptions import AskError, MovedError, ReadOnlyError, RedisError, ResponseError, TryAgainError

from .cluster import GuardedCluster
from .packing import as_bytes
from .primary import noticed
from .replica_guard import NO_REPLICAS, ElsewhereError, UnconfirmedError

Command = Sequence[str | int | bytes]
_Ask = Callable[..., tuple[Any, int]]
_OF_ANOTHER_SERVER = (AskError, TryAgainError, ReadOnlyError)
"""MovedError is an AskError."""


def run_confirmed(
    client: "redis.Redis", command: Command, replicas: int, timeout_ms: int, mark: Command = ()
) -> tuple[Any, int]:
    """As `Store.run_confirmed`, on one server."""
    try:
        return _ask(client, command=command, mark=mark, wait=(replicas, timeout_ms))
    except ElsewhereError as error:
        noticed(client, error.__cause__ if isinstance(error.__cause__, RedisError) else error)
        raise
    except ResponseError as error:
        noticed(client, error)
        raise


def run_confirmed_in(
    cluster: GuardedCluster, key: str, command: Command, wait: tuple[int, int], mark: Command = ()
) -> tuple[Any, int]:
    """As `Store.run_confirmed`, on the node of a Cluster that holds the key. `wait`: replicas and milliseconds."""
    ask = partial(_ask, command=command, mark=mark, wait=wait)
    try:
        return cluster.on_node(cluster.get_node_from_key(key), ask)
    except AskError as error:
        return _redirected(cluster, ask, error)
    except ElsewhereError:
        cluster.look_up_again()
        raise


def _redirected(cluster: GuardedCluster, ask: _Ask, error: AskError) -> tuple[Any, int]:
    cluster.look_up_again()
    node = cluster.node_at(error.host, error.port)
    before = () if isinstance(error, MovedError) else (("ASKING",),)
    return cluster.on_node(node, partial(ask, before=before))


def _ask(
    client: "redis.Redis", *, command: Command, mark: Command, wait: tuple[int, int], before: Sequence[Command] = ()
) -> tuple[Any, int]:
    # A text may have been read from bytes that are no text.
    commands = [*before, (command[0], *as_bytes(command[1:])), *([mark] if mark else []), ("WAIT", *wait)]
    with client.pipeline(transaction=False) as pipe:
        for each in commands:
            cast("Any", pipe).execute_command(*each)
        replies = pipe.execute(raise_on_error=False)
    for reply in replies[: len(before) + 1]:
        if isinstance(reply, RedisError):
            raise reply
    for reply in replies[len(before) + 1 :]:
        if isinstance(reply, RedisError):
            raise of_mark(reply) from reply
    return replies[len(before)], int(replies[-1])


def of_mark(error: RedisError) -> RedisError:
    """The error of what came behind a command that ran. What another server, or more replicas, would have taken was
    refused only here: the command's own write stands."""
    if isinstance(error, _OF_ANOTHER_SERVER):
        return ElsewhereError(f"The command ran, and what follows belongs elsewhere: {error}")
    return UnconfirmedError(str(error)) if str(error).startswith(NO_REPLICAS) else error
