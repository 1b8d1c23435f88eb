"""Processes that end together: our children never outlive us, and a terminal's Ctrl-C reaches only the supervisor.

Guaranteed here:

* A child started by `spawn` gets SIGTERM from the kernel when its parent dies, however it dies (Linux: the
  parent-death signal). One of our own commands also watches its parent itself (`follow_parent`), which works on every
  system and ends a child that does not react to the signal.
* Each child leads its own process group, so signals of the terminal do not reach it; its parent stops it, in order,
  and a group that overstays its time is killed whole.

Trap: the kernel's signal is tied to the *thread* that started the child, so `spawn` belongs into the main thread.
Not here: what the processes do (`dev`, `serving`, `embedded`).
"""

import contextlib
import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ..domain.errors import ServiceError

PARENT_VARIABLE = "OTP_SERVICE_PARENT_PID"
"""Environment variable by which `spawn` tells one of our commands whom it has to follow."""

LEFTOVER_VARIABLE = "OTP_SERVICE_PARENT_FILE"
"""Names a file that must not outlive the parent; `following_spawner` removes it if the parent no longer can."""

_PR_SET_PDEATHSIG = 1
_WATCH_S = 0.25
_GRACE_S = 1.5
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class PortTaken(ServiceError):
    """Another process listens where we were told to listen."""

    code = "port_taken"


class ChildFailed(ServiceError):
    """A child did not start, or ended when it should have gone on."""

    code = "child_failed"


def usable_address(host: str, port: int, option: str = "--port") -> tuple[str, int]:
    """The IP address and TCP port this process could listen on now; for port 0 a free one.

    Raises PortTaken with one sentence if it could not.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise PortTaken(f"{host!r} is not an address of this machine: {error.strerror}") from error
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Without it, connections of a server that has just ended would make the port look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise PortTaken(_port_sentence(host, port, option, error)) from error
        name = probe.getsockname()
        return str(name[0]), int(name[1])


def _port_sentence(host: str, port: int, option: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken on {host} by another process; choose another with {option}"
    if error.errno == errno.EACCES:
        return f"port {port} needs privileges this user does not have; choose one above 1023 with {option}"
    return f"cannot listen on {host} port {port}: {error.strerror}"


def free_port() -> int:
    """A TCP port of the loopback that nothing listens on at this moment."""
    return usable_address("127.0.0.1", 0)[1]


class Terminal:
    """The terminal that this process was started from, if any."""

    def __init__(self) -> None:
        self._had = _has_terminal()

    def gone(self) -> bool:
        """Whether there was one and is no more: the kernel takes it away before it sends SIGHUP."""
        return self._had and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def stop_on_signals(reload: Callable[[], object] | None = None) -> threading.Event:
    """An event that SIGINT, SIGTERM and SIGHUP set. Call in the main thread.

    With `reload`, SIGHUP calls that instead, unless it tells that the terminal is gone.
    """
    stop = threading.Event()
    terminal = Terminal()

    def handle_hang_up(number: int, frame: object) -> None:
        if reload is None or terminal.gone():
            handle(number, frame)
        else:
            reload()

    def handle(_signal: int, _frame: object) -> None:
        stop.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    # `nohup` has SIGHUP ignored, and means it.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handle_hang_up)
    return stop


def wait_until(predicate: Callable[[], bool], timeout_s: float, every_s: float = 0.02) -> bool:
    """Ask again and again; whether the answer was yes before the time was over."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True


def ask_parent_death_signal(number: signal.Signals) -> None:
    """Have the kernel send this process `number` when the thread that started it ends. Does nothing off Linux."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def follow_parent(expected: int, number: signal.Signals = signal.SIGTERM) -> None:
    """End this process when its parent `expected` is gone: `number` first, SIGKILL after a short grace.

    Also when the parent went before this was called, which the kernel's signal alone would miss.
    """
    ask_parent_death_signal(number)
    threading.Thread(target=_watch_parent, args=(expected, number), name="follow-parent", daemon=True).start()


def follow_spawner(environ: Mapping[str, str]) -> int | None:
    """`follow_parent` if `spawn` of this module started us, and then the parent's id.

    A command started by hand follows nobody.
    """
    text = environ.get(PARENT_VARIABLE, "")
    # The variable may be inherited further down, by processes that have another parent.
    if text.isdigit() and int(text) == os.getppid():
        follow_parent(int(text))
        return int(text)
    return None


@contextlib.contextmanager
def following_spawner(environ: Mapping[str, str]) -> Iterator[None]:
    """`follow_spawner`, and at the end remove what a parent that was killed could not remove."""
    parent = follow_spawner(environ)
    try:
        yield
    finally:
        leftover = environ.get(LEFTOVER_VARIABLE)
        if leftover and parent is not None and os.getppid() != parent:
            Path(leftover).unlink(missing_ok=True)


def _watch_parent(expected: int, number: signal.Signals) -> None:
    while os.getppid() == expected:
        time.sleep(_WATCH_S)
    os.kill(os.getpid(), number)
    time.sleep(_GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


class Child:
    """A process of ours, with its name for sentences and the log its output goes to (None: inherited)."""

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
        """Whether it runs no more."""
        return self.process.poll() is not None

    def last_words(self, lines: int = 5) -> str:
        """The last lines of its output in this run; empty if it said nothing or spoke to our own stderr."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, file.seek(0, os.SEEK_END) - 8192))
            text = file.read().decode(errors="replace")
        return "\n".join(line for line in text.splitlines()[-lines:] if line.strip())

    def obituary(self) -> str:
        """One sentence on how it ended, its last words below."""
        code = self.process.returncode
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit status {code}"
        words = self.last_words()
        return f"the {self.name} {how}" + (f":\n{words}" if words else "")

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

    `keep_open` are file descriptors it inherits, e.g. of a lock that shall hold as long as it lives.
    """
    parent = os.getpid()

    def enter_child() -> None:
        ask_parent_death_signal(signal.SIGTERM)
        # The parent may have died between fork and prctl.
        if os.getppid() != parent:
            os._exit(1)

    with _output(log) as output:
        start = 0 if log is None else log.stat().st_size
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=directory,
            env={**(os.environ if environ is None else environ), PARENT_VARIABLE: str(parent)},
            process_group=0,
            pass_fds=keep_open,
            # Two system calls, nothing that could wait for a lock of another thread.
            preexec_fn=enter_child if _LIBC is not None else None,  # noqa: PLW1509
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
    """Ask all to end at once, kill what overstays `timeout_s`. Returns the names of those that had to be killed."""
    deadline = time.monotonic() + timeout_s
    for child in children:
        child.terminate()
    return [child.name for child in children if not child.wait(max(0.0, deadline - time.monotonic()))]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
