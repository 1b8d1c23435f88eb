"""A circuit breaker for the store: after two time-outs in a row only one call at a time waits for it.

A store that is down refuses at once and needs none of this; one that hangs costs each caller the whole time-out, and
callers queue behind one another, so that with four threads the twentieth would be refused after several seconds and
not after one. Once tripped, a call is refused at once; every `PAUSE_S` one call probes, and any answer of the store
closes it. A failure that took as long as a time-out counts as one, and what the server refuses is reported to the pool
(`primary`). A Cluster has a breaker for each node (`cluster`).

Not here: what a refusal means to a request (`StoreUnavailable`, as for any other lost connection).
"""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from .unsent import UnsentError

T = TypeVar("T")
PAUSE_S = 0.25
TRIPS_AFTER = 2
"""Time-outs in a row. One alone may be one lost reply, whose call is repeated."""

SLOW_S = 0.35
"""A failure that took so long counts as a time-out, whatever its name: sentinels that hang, one after the other, end in
"no primary found"."""


class Breaker(Retry):
    """The retry policy of one client's connections: no retries, and no waiting for a store that hangs.

    redis-py passes every command and every connecting through its retry policy, so nothing gets round it.
    """

    def __init__(self, noticed: Callable[[Exception], None] = lambda _error: None) -> None:
        """`noticed` is called with each error that the server answers: it may be the primary no more."""
        super().__init__(NoBackoff(), 0)
        self.noticed = noticed
        self._lock = threading.Lock()
        self._within = threading.local()
        self._timeouts = 0
        self._next_probe = 0.0

    def __deepcopy__(self, _: object) -> "Breaker":
        # redis-py copies the policy for each connection; what one has seen, all must know.
        return self

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """Call once. Raises what the call raises, or a ConnectionError at once while the store hangs."""
        if getattr(self._within, "call", False):
            # Connecting as part of a command that was let through.
            return super().call_with_retry(do, fail, is_retryable, with_failure_count)
        self._let_through()
        self._within.call = True
        began = time.monotonic()
        try:
            answer = super().call_with_retry(do, fail, is_retryable, with_failure_count)
        except (RedisTimeoutError, TimeoutError):
            self._timed_out()
            raise
        except RedisConnectionError:
            if time.monotonic() - began >= SLOW_S:
                self._timed_out()
            else:
                self._answered()
            raise
        except Exception as error:
            self._answered()
            self.noticed(error)
            raise
        else:
            self._answered()
            return answer
        finally:
            self._within.call = False

    def _let_through(self) -> None:
        if self._timeouts < TRIPS_AFTER:
            return
        with self._lock:
            now = time.monotonic()
            if self._timeouts < TRIPS_AFTER:
                return
            if now < self._next_probe:
                raise UnsentError("The store hangs.")
            # This call is the probe. If it never returns, another one may probe after a while.
            self._next_probe = now + 4 * PAUSE_S

    def _timed_out(self) -> None:
        with self._lock:
            self._timeouts += 1
            self._next_probe = time.monotonic() + PAUSE_S

    def trip(self) -> None:
        """Refuse at once from now on, as if it hung: what the server said holds for everything it could be asked."""
        with self._lock:
            self._timeouts = TRIPS_AFTER
            self._next_probe = time.monotonic() + PAUSE_S

    def forgive(self) -> None:
        """Forget the time-outs: the calls to come go to another server."""
        self._timeouts = 0

    def _answered(self) -> None:
        self._timeouts = 0
