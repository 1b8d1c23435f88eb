"""Asking all primaries of a Cluster at once what they say of it (see `cluster_views`)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, cast

from .answering import STORE_ERRORS
from .cluster_views import View, nobody_takes_over, read_view
from .store import Store

ASK_S = 0.3
"""So long is waited for their answers. What comes later counts no more."""

GREATEST_LAG_S = 3
"""A replica that said nothing for longer does not follow, as in `lua/_runs.lua`."""


class Told(NamedTuple):
    """What one primary says, its run of the store and the addresses of those that follow it, as INFO has them."""

    run: str
    view: View
    followers: frozenset[str]


def ask_primaries(store: Store) -> Sequence[Told]:
    """What the primaries say that answer in time, all that the client knows and not only those of the URL."""
    nodes = cast("Any", store.client).get_primaries()
    if not nodes:
        return []
    pool = ThreadPoolExecutor(len(nodes), thread_name_prefix="primaries")
    try:
        asked = [pool.submit(partial(_ask, store.client, node)) for node in nodes]
        return [told for told in map(_answer, wait(asked, ASK_S).done) if told is not None]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def may_do_without(told: Sequence[Told], run: str, follow: int) -> bool:
    """Whether nobody takes over from the server of this run (the first digits of it) but the replicas that follow.

    `told`: what all primaries say. Where another number follows by now than was counted, nobody knows yet.
    """
    server = next((one for one in told if one.run.startswith(run)), None)
    if server is None or len(server.followers) != follow:
        return False
    return nobody_takes_over([one.view for one in told], server.view.own, server.followers)


def _ask(client: Any, node: Any) -> Told:
    info = client.info("replication", target_nodes=node)
    view = read_view(client.execute_command("CLUSTER", "NODES", target_nodes=node))
    return Told(str(info["master_replid"]), view, frozenset(_followers(info)))


def _followers(info: Mapping[str, Any]) -> Iterator[str]:
    """The addresses of those that `store/count_replicas` counts, too."""
    for name, told in info.items():
        if re.fullmatch("slave[0-9]+", name) and told["state"] == "online" and told["lag"] <= GREATEST_LAG_S:
            yield f"{told['ip']}:{told['port']}"


def _answer(asked: "Future[Told]") -> Told | None:
    with suppress(*STORE_ERRORS, ValueError):
        return asked.result()
    return None
