"""A Cluster's client that never makes one node's trouble everybody's.

redis-py looks the whole topology up again inside the request that met a failing node, one node after the other, while
the others wait for it. Here that happens in a thread of its own, one at a time, and each node has a breaker: a node
that hangs refuses its own slots at once and leaves the others alone. Reads go to primaries only.
"""

import logging
import threading
from typing import Any

from redis.cluster import RedisCluster

from .breaker import Breaker

_log = logging.getLogger("otp.store")


class GuardedCluster(RedisCluster):
    """As redis-py's, with a breaker for each node and look-ups of the topology in the background."""

    def __init__(self, **options: Any) -> None:
        self._node_breakers: dict[str, Breaker] = {}
        self._refreshing = threading.Lock()
        super().__init__(load_balancing_strategy=None, **options)
        self._look_up = self.nodes_manager.initialize
        self.nodes_manager.initialize = self._look_up_soon  # type: ignore[method-assign]

    def _execute_command(self, target_node: Any, *args: Any, **kwargs: Any) -> Any:
        breaker = self._node_breakers.get(target_node.name)
        if breaker is None:
            breaker = self._node_breakers.setdefault(target_node.name, Breaker())
        execute: Any = super()._execute_command
        return breaker.call_with_retry(lambda: execute(target_node, *args, **kwargs), lambda _error: None)

    def _look_up_soon(self, *args: Any, **kwargs: Any) -> None:
        if self._refreshing.acquire(blocking=False):
            threading.Thread(target=self._look_up_now, args=(args, kwargs), name="topology", daemon=True).start()

    def _look_up_now(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            self._look_up(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the next request that fails looks again
            _log.warning("the Cluster's topology cannot be looked up", extra={"reason": type(error).__name__})
        finally:
            self._refreshing.release()
