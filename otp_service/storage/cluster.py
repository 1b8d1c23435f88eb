"""A Cluster's client in which a failing node delays only requests to that node.

redis-py looks the whole topology up again inside the request that met a failing node, one node after the other, while
the others wait for it; and it closes connections to the node that answered, though that is well. Here the look-up
happens in a thread of its own, one at a time and not more often than every `LOOK_UP_PAUSE_S`, and leaves connections
alone. Each node has a breaker: a node that hangs, or calls the Cluster as a whole down (redis-py then sleeps a quarter
of a second in every call), refuses its own slots at once and leaves the others alone. Reads go to primaries only.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis.cluster import RedisCluster
from redis.exceptions import ClusterDownError, RedisClusterException, ResponseError, SlotNotCoveredError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from .breaker import Breaker
from .packing import as_bytes
from .primary import is_doubtful

LOOK_UP_PAUSE_S = 0.25
"""Between the end of one look-up and the beginning of the next."""

T = TypeVar("T")
_log = logging.getLogger("otp.store")


class GuardedCluster(RedisCluster):
    """As redis-py's, with a breaker for each node and look-ups of the topology in the background."""

    def __init__(self, **options: Any) -> None:
        self._node_breakers: dict[str, Breaker] = {}
        self._refreshing = threading.Lock()
        self._next_look_up = 0.0
        # A slot without a node fails alone: what is known of the others is taken over all the same.
        super().__init__(load_balancing_strategy=None, require_full_coverage=False, **options)
        self._look_up = self.nodes_manager.initialize
        self._node_of_slot: Any = self.nodes_manager.get_node_from_slot
        self.nodes_manager.initialize = self._look_up_soon  # type: ignore[method-assign]
        self.nodes_manager.get_node_from_slot = self._covered_node  # type: ignore[method-assign]

    def get_node_from_key(self, key: Any, replica: bool = False) -> Any:
        """The node that holds the key. Raises SlotNotCoveredError, and then the slots are looked up again."""
        try:
            return super().get_node_from_key(key, replica)  # type: ignore[no-untyped-call]
        except SlotNotCoveredError:
            self._look_up_soon()
            raise

    def look_up_again(self) -> None:
        """Look the topology up in the background: a replica that joined is named by no request that fails."""
        self._look_up_soon()

    def on_node(self, node: Any, ask: Callable[..., T]) -> T:
        """Have `ask` use the client of one node. Raises what it raises, and ConnectionError while the node hangs."""
        try:
            return self._breaker_of(node).call_with_retry(
                lambda: ask(self.get_redis_connection(node)), lambda _error: None
            )
        except (RedisConnectionError, RedisTimeoutError, ClusterDownError) as error:
            self._noticed(node, error)
            raise

    def get_redis_connection(self, node: Any) -> Any:
        """The client of one node. Raises RedisClusterException where a slot moves to a node that is not known yet."""
        if node is None:
            self._look_up_soon()
            raise RedisClusterException("A slot moves to a node that is not known yet.")
        return super().get_redis_connection(node)

    def node_at(self, host: str, port: int) -> Any:
        """The node at this address. Raises RedisClusterException if it is not known yet."""
        node: Any = self.get_node(host=host, port=port)  # type: ignore[no-untyped-call]
        if node is None:
            raise RedisClusterException("A slot has moved to a node that is not known yet.")
        return node

    def _covered_node(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._node_of_slot(*args, **kwargs)
        except SlotNotCoveredError:
            # redis-py would not: the slot would stay without a node for ever.
            self._look_up_soon()
            raise

    def _execute_command(self, target_node: Any, *args: Any, **kwargs: Any) -> Any:
        execute: Any = super()._execute_command
        breaker = self._breaker_of(target_node)
        try:
            return breaker.call_with_retry(lambda: execute(target_node, *args, **kwargs), lambda _error: None)
        except UnicodeEncodeError:
            # Nothing was sent: redis-py cannot write a text that was read from bytes that are no text.
            return self._execute_command(target_node, *as_bytes(args), **kwargs)
        except ResponseError as error:
            if isinstance(error, ClusterDownError) or is_doubtful(error):
                self._noticed(target_node, error)
            raise

    def _breaker_of(self, node: Any) -> Breaker:
        breaker = self._node_breakers.get(node.name)
        return self._node_breakers.setdefault(node.name, Breaker()) if breaker is None else breaker

    def _noticed(self, node: Any, error: Exception) -> None:
        if "cluster is down" in str(error):
            self._breaker_of(node).trip()
        self._look_up_soon()

    def _look_up_soon(self, *args: Any, **kwargs: Any) -> None:
        if time.monotonic() >= self._next_look_up and self._refreshing.acquire(blocking=False):
            threading.Thread(target=self._look_up_now, args=(args, kwargs), name="topology", daemon=True).start()

    def _look_up_now(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            self._look_up(*args, **(kwargs | {"disconnect_startup_nodes_pools": False}))
        except Exception as error:  # noqa: BLE001 - the next request that fails looks again
            _log.warning("the Cluster's topology cannot be looked up", extra={"reason": type(error).__name__})
        finally:
            self._next_look_up = time.monotonic() + LOOK_UP_PAUSE_S
            self._refreshing.release()
