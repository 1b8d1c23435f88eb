"""The progress bar of commands that take longer than two seconds."""

import sys
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

SLOW_S = 2.0
"""Work that takes longer shows its progress."""


class Progress:
    """A bar on stderr for work that takes longer than two seconds; on a terminal only, nothing on a pipe.

    Used in a `with`. Until `advance` is called it only shows that work goes on.
    """

    def __init__(self, what: str, unit: str = "") -> None:
        self._what = what
        self._unit = unit
        self._lock = threading.Lock()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._done, self._total = 0, 0
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._timer = threading.Timer(SLOW_S, self._show)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
            # A reference cycle: the garbage collector could end the timer at any time and swallow a Ctrl-C.
            self._timer = None
        with self._lock:
            # A timer that fires just now finds nothing to show.
            self._what = ""
            bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()

    def advance(self, done: int, total: int = 0) -> None:
        """Set how much is done, of `total` (0: unknown)."""
        with self._lock:
            self._done, self._total = done, total
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, completed=done, total=total or None, count=self._count())

    def _count(self) -> str:
        if not self._done and not self._total:
            return ""
        of = f" of {self._total}" if self._total else ""
        return f"{self._done}{of} {self._unit}".strip()

    def _show(self) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        with self._lock:
            if not self._what:
                return
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[count]}"),
            )
            self._bar = Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._what, total=self._total or None, count=self._count())
            self._bar.update(self._task, completed=self._done)
            self._bar.start()
