"""Looking at processes from outside, through /proc: what a tester with `ps` would see."""

import os
import signal
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process runs. One that has ended and waits to be reaped does not."""
    return _stat(pid) is not None


def descendants(pid: int) -> dict[int, str]:
    """All processes below this one, with their command lines."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        stat = _stat(int(entry)) if entry.isdigit() else None
        if stat is not None:
            children.setdefault(stat, []).append(int(entry))
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found[child] = command_line(child)
            waiting.append(child)
    return found


def command_line(pid: int) -> str:
    """The process's arguments, separated by blanks."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def _stat(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[1])
