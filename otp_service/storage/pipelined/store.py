"""A store for requests that run in an event loop."""

import asyncio
from typing import cast

import redis

from ..store import Store
from .client import PipelinedClient
from .routes import routes_of


def pipelined(loop: asyncio.AbstractEventLoop, store: Store) -> Store:
    """The same store as `store` for work that `greenlets.start` begins in this loop.

    Its client has the commands that a request needs and no others. It has no reads that wait in the store: `blocking`
    stays redis-py's client, and is not to be used in the loop.
    """
    client = PipelinedClient(loop, routes_of(loop, store.client), store.client)
    return Store(
        client=cast("redis.Redis", client),
        blocking=store.blocking,
        is_cluster=store.is_cluster,
        finds_nodes=True,
        sentinels=store.sentinels,
    )
