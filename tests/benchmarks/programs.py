"""Programs that the bench starts: each in a session of its own, all of them ended by their ids, whatever happens."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from . import accounting

HOST = "127.0.0.1"
START_TIMEOUT_S = 40.0
END_TIMEOUT_S = 12.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # not through a proxy: it is our own loopback


class ProgramFailed(Exception):
    """A program did not start, ended too early or answered what it must not."""


def get(url: str, headers: Mapping[str, str] | None = None, timeout_s: float = 30.0) -> bytes:
    """The body of a GET on loopback. Raises OSError, also for a status that is no success."""
    with _OPENER.open(urllib.request.Request(url, headers=dict(headers or {})), timeout=timeout_s) as response:
        body: bytes = response.read()
        return body


def answers(url: str) -> bool:
    """Whether something answers there with a success."""
    try:
        get(url, timeout_s=2)
    except OSError:
        return False
    return True


def listens(port: int) -> bool:
    """Whether something takes connections at this port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@contextlib.contextmanager
def _not_interrupted() -> Iterator[None]:
    """A second Ctrl-C or SIGTERM must not keep programs from being ended."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(process: "subprocess.Popen[Any]", number: signal.Signals) -> None:
    """End the leader of a session by this signal, and what is left of its session by SIGKILL. Never raises."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_TIMEOUT_S)
    for stat in accounting.in_session(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(stat.pid, signal.SIGKILL)
    process.wait()


class Programs:
    """The running programs by name, as a context: at its end, also on Ctrl-C, none of them is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Programs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _not_interrupted():
            for name in reversed(list(self._running)):
                self.stop(name)

    @property
    def sessions(self) -> dict[str, int]:
        """The session of each program; it bears the id of the program's first process."""
        return {name: process.pid for name, process in self._running.items()}

    def start(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], ready: Callable[[], bool] | None = None
    ) -> None:
        """Start a program, with its output in a file, and wait until it is ready. Raises ProgramFailed."""
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                list(command),
                env=dict(environ),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if ready is not None:
            self.wait(name, ready)

    def wait(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait until the program is ready. Raises ProgramFailed with its last output."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            ended = self._running[name].poll() is not None
            if ended or time.monotonic() > deadline:
                last = self.log(name).read_text(encoding="utf-8", errors="replace")[-2000:]
                raise ProgramFailed(f"{name} {'ended' if ended else 'is not ready'}:\n{last}")
            time.sleep(0.05)

    def log(self, name: str) -> Path:
        """The file with the program's output."""
        return self.folder / f"{name}.log"

    def stop(self, name: str) -> None:
        """End a program by SIGTERM, and what is left of its session by SIGKILL. Never raises."""
        _end(self._running.pop(name), signal.SIGTERM)


@contextlib.contextmanager
def programs_in_a_folder() -> Iterator[Programs]:
    """Programs in a folder of their own, which is removed when they have ended."""
    with tempfile.TemporaryDirectory(prefix="otp-bench-") as folder, Programs(Path(folder)) as programs:
        yield programs


def run(command: Sequence[str], environ: Mapping[str, str], folder: Path, timeout_s: float = 60.0) -> str:
    """Run a command to its end and return its output. Raises ProgramFailed if it fails or takes too long.

    It has a session of its own: if it is interrupted or late, nothing that it started is left.
    """
    with subprocess.Popen(
        list(command),
        env=dict(environ),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise ProgramFailed(f"{' '.join(command)}: not done in {timeout_s:.0f} s") from error
        finally:
            if process.poll() is None:
                with _not_interrupted():
                    _end(process, signal.SIGINT)
    if process.returncode:
        raise ProgramFailed(f"{' '.join(command)}: {errors[-2000:]}")
    return output
