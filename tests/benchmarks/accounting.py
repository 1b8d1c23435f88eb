"""CPU time and memory of groups of processes, from the kernel's accounting in /proc. Linux only.

A group is one session: the bench starts every program in a session of its own, and what the program starts stays in
it. The kernel counts CPU time in ticks (10 ms as a rule), so figures need seconds of work to be exact to a percent.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    """What is used of one /proc/PID/stat: ids, and CPU time in ticks, of this process and of its ended children."""

    pid: int
    state: str
    parent: int
    session: int
    ticks: int
    ticks_of_children: int


def parse_stat(text: str) -> Stat:
    """Read one line of /proc/PID/stat (proc(5)). The name in parentheses may hold blanks and parentheses itself."""
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    user, system, children_user, children_system = (int(field) for field in fields[11:15])
    return Stat(int(pid), fields[0], int(fields[1]), int(fields[3]), user + system, children_user + children_system)


def parse_total(text: str) -> int:
    """The busy ticks of the whole machine from /proc/stat: user, nice, system, interrupts and stolen time."""
    user, nice, system, _idle, _wait, hard, soft, steal = (int(field) for field in text.split("\n", 1)[0].split()[1:9])
    return user + nice + system + hard + soft + steal


def parse_kilobytes(text: str, name: str) -> int:
    """The value of a line `Name: 123 kB` in kB; 0 if it is not there."""
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def processes(proc: Path = PROC) -> Iterator[Stat]:
    """All processes that live now."""
    for folder in proc.iterdir():
        if folder.name.isdigit():
            try:
                yield parse_stat((folder / "stat").read_text(encoding="utf-8", errors="replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile


def in_session(session: int, proc: Path = PROC) -> list[Stat]:
    """The processes of one session, those that only wait to be collected not among them."""
    return [stat for stat in processes(proc) if stat.session == session and stat.state != "Z"]


def memory_kb(session: int) -> int:
    """The memory of a session in kB: shared pages count in parts (PSS)."""
    total = 0
    for stat in in_session(session):
        try:
            total += parse_kilobytes((PROC / str(stat.pid) / "smaps_rollup").read_text(encoding="utf-8"), "Pss")
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def waited_s(session: int, proc: Path = PROC) -> float:
    """For how many seconds threads of a session were ready and had no core, all together, since each began."""
    total = 0
    for stat in in_session(session, proc):
        for file in (proc / str(stat.pid) / "task").glob("*/schedstat"):
            try:
                total += int(file.read_text(encoding="utf-8").split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
    return total / 1e9


class Usage(NamedTuple):
    """CPU seconds since the machine's start: of each group by name, and of the whole machine."""

    groups: Mapping[str, float]
    machine: float

    def since(self, before: "Usage") -> "Usage":
        """What was used between two readings."""
        groups = {name: seconds - before.groups.get(name, 0.0) for name, seconds in self.groups.items()}
        return Usage(groups, self.machine - before.machine)


def read_usage(sessions: Mapping[str, int]) -> Usage:
    """Read the CPU seconds of the named sessions (`{"service": PID of its leader}`).

    A process that ended is counted with its parent, if the parent has collected it. Several programs may share a name
    by `name#1`, `name#2`: what follows the `#` is dropped and the figures are added up.
    """
    of_session: dict[int, int] = {}
    for stat in processes():
        of_session[stat.session] = of_session.get(stat.session, 0) + stat.ticks + stat.ticks_of_children
    groups: dict[str, float] = {}
    for name, session in sessions.items():
        group = name.partition("#")[0]
        groups[group] = groups.get(group, 0.0) + of_session.get(session, 0) / TICKS_PER_S
    return Usage(groups, parse_total((PROC / "stat").read_text(encoding="utf-8")) / TICKS_PER_S)
