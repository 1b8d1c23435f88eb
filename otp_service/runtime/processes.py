"""Child processes that never outlive this one, and that a terminal's Ctrl-C does not reach directly.

Guaranteed here:

* A child started by `spawn` gets SIGTERM from the kernel when its parent ends (Linux), and follows its parent by itself
  if it is one of our commands (see `parent`).
* Each child leads its own process group, so signals of the terminal do not reach it. Its parent stops it; a group that
  does not end in time is killed whole.

Trap: the kernel's signal is tied to the *thread* that started the child, so call `spawn` in the main thread.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ..domain.errors import ServiceError
from . import parent


class ChildFailed(ServiceError):
    """A child did not start, or ended when it should have gone on."""

    code = "child_failed"


def is_running(pid: int) -> bool:
    """Whether a process of this id runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def wait_until(predicate: Callable[[], bool], timeout_s: float, every_s: float = 0.02) -> bool:
    """Poll until the predicate is true; returns False if it was not true in time."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True


class Child:
    """A process of ours, with its name for messages and the log file of its output (None: inherited)."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path | None, log_start: int) -> None:
        self.name = name
        self.process = process
        self.log = log
        self._log_start = log_start

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too."""
        return self.process.pid

    def ended(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def last_output(self, lines: int = 5) -> str:
        """The last lines of its output in this run; empty if there is none or it went to our own stderr."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, file.seek(0, os.SEEK_END) - 8192))
            text = file.read().decode(errors="replace")
        return "\n".join(line for line in text.splitlines()[-lines:] if line.strip())

    def end_report(self) -> str:
        """One sentence on how it ended, its last output below."""
        code = self.process.returncode
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit status {code}"
        output = self.last_output()
        return f"the {self.name} {how}" + (f":\n{output}" if output else "")

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        if not self.ended():
            self.process.terminate()

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended in time. Whatever is left of its group is killed if not."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        """Kill its whole process group and reap it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


def spawn(
    name: str,
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    log: Path | None = None,
    directory: Path | None = None,
    keep_open: Sequence[int] = (),
) -> Child:
    """Start a child that dies with us, in its own process group. Output goes to `log` (appended) or to our stderr.

    `keep_open` are file descriptors it inherits, e.g. of a lock that is held as long as the child runs.
    """
    own_pid = os.getpid()

    def enter_child() -> None:
        parent.ask_parent_death_signal(signal.SIGTERM)
        # The parent may have died between fork and prctl.
        if os.getppid() != own_pid:
            os._exit(1)

    with _output(log) as output:
        start = 0 if log is None else log.stat().st_size
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=directory,
            env={**(os.environ if environ is None else environ), parent.PARENT_VARIABLE: str(own_pid)},
            process_group=0,
            pass_fds=keep_open,
            # Two system calls, nothing that could wait for a lock of another thread.
            preexec_fn=enter_child if parent.HAS_DEATH_SIGNAL else None,  # noqa: PLW1509
        )
    return Child(name, process, log, start)


@contextlib.contextmanager
def _output(log: Path | None) -> Iterator[int]:
    if log is None:
        yield 2
        return
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def stop(children: Sequence[Child], timeout_s: float) -> list[str]:
    """Ask all to end at once, kill those that have not ended in time. Returns the names of the killed ones."""
    deadline = time.monotonic() + timeout_s
    for child in children:
        child.terminate()
    return [child.name for child in children if not child.wait(max(0.0, deadline - time.monotonic()))]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
