"""Asking all primaries of a Cluster at once what they say of it (see `cluster_views`)."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, cast

from .answering import STORE_ERRORS
from .cluster_views import View, nobody_takes_over, read_view
from .store import Store

ASK_S = 0.3
"""So long is waited for their answers. What comes later counts no more."""


class Told(NamedTuple):
    """What one primary says, and its run of the store as INFO has it."""

    run: str
    view: View


def may_do_without(store: Store, run: str, follow: int) -> bool:
    """Whether nobody takes over from the server of this run (the first digits of it) but the replicas that follow."""
    told = _ask_all(store)
    server = next((one.view.own for one in told if one.run.startswith(run)), None)
    return server is not None and nobody_takes_over([one.view for one in told], server, follow)


def _ask_all(store: Store) -> Sequence[Told]:
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


def _ask(client: Any, node: Any) -> Told:
    run = str(client.info("replication", target_nodes=node)["master_replid"])
    return Told(run, read_view(client.execute_command("CLUSTER", "NODES", target_nodes=node)))


def _answer(asked: "Future[Told]") -> Told | None:
    with suppress(*STORE_ERRORS, ValueError):
        return asked.result()
    return None
