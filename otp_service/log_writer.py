"""Writing log lines outside of the requests: a thread formats and writes them, a bounded queue holds them until then.

A reader of stderr that is too slow never holds up a request: what does not fit into the queue is dropped and counted.
Lines are written in their order, `BATCH_S` later at most. A process that ends calls `wait_until_written`; what one logs
right before it is killed is lost.
"""

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TextIO

QUEUED_MAX = 20_000
BATCH_S = 0.05
_LOOK_S = 0.01


class BackgroundHandler(logging.Handler):
    """A handler with a thread of its own. `dropped` is called for each line that does not fit or cannot be written."""

    def __init__(self, stream: TextIO, dropped: Callable[[], object], most: int = QUEUED_MAX) -> None:
        super().__init__()
        self._stream = stream
        self._dropped = dropped
        self._most = most
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Be new: a process that was forked has none of its parent's threads, and does not write its lines again."""
        self._queue: deque[tuple[str, Callable[[], str]]] = deque()
        """The logger of each line, and what makes the line."""
        self._writing = threading.Lock()
        self._filled = threading.Event()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def put_line(self, logger: str, line: Callable[[], str]) -> bool:
        """Queue a line, which the thread makes. Without a lock: appending to a deque needs none."""
        if len(self._queue) >= self._most:
            self._dropped()
            return False
        self._queue.append((logger, line))
        if not self._filled.is_set():
            self._filled.set()
        return True

    def handle(self, record: logging.LogRecord) -> bool:
        """Queue a line. Without the lock of `logging.Handler`."""
        return self.put_line(record.name, partial(self.format, record))

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line."""
        self.handle(record)

    def flush(self) -> None:
        """Write what is queued, now."""
        with self._writing:
            lines = [self._line(*self._queue.popleft()) for _ in range(len(self._queue))]
            if lines:
                self._write(lines)

    def wait_until_written(self, timeout_s: float) -> bool:
        """Wait for the thread to write what is queued, at most so long; whether it has."""
        until = time.monotonic() + timeout_s
        while self._queue or self._writing.locked():
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_S)
        return True

    def _line(self, logger: str, line: Callable[[], str]) -> str:
        try:
            return f"{line()}\n"
        except Exception:  # noqa: BLE001 - one line that cannot be written must not end all of them
            return f'{{"level": "error", "logger": "otp.log", "message": "a line of {logger} cannot be written"}}\n'

    def _write(self, lines: Sequence[str]) -> None:
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads the log any more, and there is nowhere to say so.
            for _ in lines:
                self._dropped()

    def _run(self) -> None:
        while True:
            self._filled.wait()
            time.sleep(BATCH_S)
            self._filled.clear()
            self.flush()


def to_stderr(dropped: Callable[[], object]) -> BackgroundHandler:
    """The handler that writes to stderr."""
    return BackgroundHandler(sys.stderr, dropped)
