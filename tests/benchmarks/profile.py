"""Where the CPU time of a program goes: one row under load, seen by py-spy from outside, which slows it by little.

Only threads that hold the interpreter's lock are seen, not those that wait, so the shares are of Python's own time.
"""

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from . import measure
from .measure import Shape
from .ours import OtpService
from .programs import ProgramFailed, Programs
from .rows import LoadRow, Options

LINES = 30
RATE = 500
"""Samples a second."""


def parse(text: str) -> tuple[Counter[str], Counter[str]]:
    """How many samples each function had itself, and with all that it called, from py-spy's raw lines."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_function(frame) for frame in stack.split(";") if not frame.startswith(("process ", "thread "))]
        if frames:
            own[frames[-1]] += int(count)
            whole.update({frame: int(count) for frame in set(frames)})
    return own, whole


def _function(frame: str) -> str:
    """`name (path/file.py:12)` without the line, so that the lines of a function count together."""
    name, _, place = frame.partition(" (")
    return f"{name} ({place.rpartition(':')[0] or place.rstrip(')')})"


def render(name: str, text: str) -> str:
    """The functions with the most samples of their own."""
    own, whole = parse(text)
    total = sum(own.values())
    if not total:
        return f"{name}: no samples\n"
    lines = [f"### {name}: {total:,} samples", "", "| own | with calls | function |", "|---|---|---|"]
    for function, count in own.most_common(LINES):
        lines.append(f"| {count / total:.1%} | {whole[function] / total:.1%} | `{function}` |")
    return "\n".join(lines) + "\n"


def program() -> str:
    """The path of py-spy. Raises ProgramFailed if it is not installed."""
    found = shutil.which("py-spy") or shutil.which(str(Path(sys.executable).parent / "py-spy"))
    if found is None:
        raise ProgramFailed("--profile needs py-spy (it is in the extra `bench`)")
    return found


def run(target: OtpService, row: LoadRow, options: Options) -> str:
    """Profile the service, and the worker where the row has one, during one leg. Raises ProgramFailed, Wrong."""
    spy = program()
    with tempfile.TemporaryDirectory(prefix="otp-bench-") as folder, Programs(Path(folder)) as programs:
        stack = target.open(programs, worker=row.worker)
        stack.begin_leg()
        shape = Shape(options.connections[0], options.seconds, options.warm_up_s, options.expected)
        job = measure.prepare(stack, row.kind, shape, options.generator)
        names: list[str] = [name for name in ("service", "worker") if name in programs.sessions]
        files = {name: Path(folder, f"{name}.profile") for name in names}
        spies = [_watch(spy, programs.sessions[name], files[name], shape.seconds) for name in names]
        try:
            measure.execute(stack, row.kind, job, (row.word, target.name, 1), options.generator)
        finally:
            for process in spies:
                _end(process)
        return _tables(files)


def _watch(spy: str, pid: int, file: Path, seconds: int) -> "subprocess.Popen[bytes]":
    options = ["--pid", str(pid), "--subprocesses", "--duration", str(seconds), "--rate", str(RATE)]
    command = [spy, "record", *options, "--format", "raw", "--output", str(file), "--gil", "--nonblocking"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tables(files: Mapping[str, Path]) -> str:
    missing = [name for name, file in files.items() if not file.exists()]
    if missing:
        raise ProgramFailed(f"py-spy could not look at {', '.join(missing)}")
    return "\n".join(render(name, file.read_text(encoding="utf-8")) for name, file in files.items())
