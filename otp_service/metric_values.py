"""The values of metrics that several processes share, written in a third of the time.

Each request changes four to nine of them. prometheus_client looks at the process id and through two dictionaries each
time; here the place in the file is looked up once, and again after a fork. What stands in the file is the same. The
metric with its labels is looked up once, too.
"""

import os
import struct
import threading
from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from prometheus_client import Counter, Gauge, Histogram, values

Metric = TypeVar("Metric", Counter, Gauge, Histogram)

_Value: Any = values.ValueClass
_pair = struct.Struct("dd").pack
_lock = threading.Lock()
_forks = 0
"""How often this process or one that it comes from was forked."""


def _forked() -> None:
    global _forks, _lock  # noqa: PLW0603 - both belong to the process, and another thread may have held the lock
    _forks += 1
    _lock = threading.Lock()


class SharedValue(_Value):  # type: ignore[misc] # the class is made by a function
    """A value of one process in a file that the others read."""

    _value: float
    _own_forks = -1
    """As `_forks` was when the place of this value was looked up."""
    _place = slice(0)

    def inc(self, amount: float) -> None:
        """Add to it."""
        with _lock:
            if self._own_forks != _forks:
                # prometheus_client makes a new file for the child, and puts every value of it at zero.
                super().inc(amount)
                begin = self._file._positions[self._key]
                self._place, self._own_forks = slice(begin, begin + 16), _forks
                return
            self._value = value = self._value + amount
            # Not `pack_into`: it writes zeros first, which another process may read.
            self._file._m[self._place] = _pair(value, 0.0)

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Put another one in its place."""
        with _lock:
            super().set(value, timestamp)


def use() -> None:
    """Have prometheus_client make its values so, where processes share them. Before any metric is made."""
    if _Value._multiprocess:
        os.register_at_fork(after_in_child=_forked)
        values.ValueClass = SharedValue


@cache
def child(metric: Metric, *labels: str) -> Metric:
    """The metric with these labels. Faster than `labels`, which takes a lock and looks at each value."""
    labelled: Metric = metric.labels(*labels)
    return labelled


@cache
def _adder(metric: Counter, *labels: str) -> Callable[[float], None]:
    labelled: Any = metric.labels(*labels)
    add: Callable[[float], None] = labelled._value.inc
    return add


def count(metric: Counter, *labels: str) -> None:
    """Add one to the counter with these labels: `child(metric, *labels).inc()` in half of its steps.

    prometheus_client asks each time whether the counter has all labels, which was answered once.
    """
    _adder(metric, *labels)(1.0)


@cache
def _observer(metric: Histogram, *labels: str) -> Callable[[float], None]:
    labelled: Any = metric.labels(*labels)
    bounds, add = labelled._upper_bounds, labelled._sum.inc
    counts = [bucket.inc for bucket in labelled._buckets]

    def observe(amount: float) -> None:
        add(amount)
        # The first that is not below the amount; the last one is infinite.
        counts[bisect_left(bounds, amount)](1)

    return observe


def observe(metric: Histogram, amount: float, *labels: str) -> None:
    """Count an amount: `child(metric, *labels).observe(amount)` in half of its steps."""
    _observer(metric, *labels)(amount)
