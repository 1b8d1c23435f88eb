"""CPU and memory as the kernel tells them."""

import os
import subprocess
import sys
import time
from pathlib import Path

from . import accounting

STAT = (
    "4711 (a (b) c) S 17 4711 4700 0 -1 4194560 1 2 3 4 {utime} {stime} {cutime} {cstime} 20 0 1 0 99 "
    "1000 100 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0"
)


def test_a_line_of_the_kernel_is_read_in_spite_of_the_name() -> None:
    """A program's name may hold blanks and parentheses; what follows the last one counts."""
    stat = accounting.parse_stat(STAT.format(utime=100, stime=20, cutime=5, cstime=1))
    assert stat == accounting.Stat(4711, "S", 17, 4700, 120, 6)


def test_idle_time_and_waiting_are_not_busy() -> None:
    """User, nice, system, interrupts and stolen time count."""
    assert accounting.parse_total("cpu  1 2 3 1000 2000 4 5 6 7 8\ncpu0 1\n") == 1 + 2 + 3 + 4 + 5 + 6


def test_a_size_is_found_by_its_name() -> None:
    """In kB, and nothing where the kernel has no such line."""
    text = "Rss:   100 kB\nPss:    42 kB\nPss_Anon: 7 kB\n"
    assert accounting.parse_kilobytes(text, "Pss") == 42
    assert accounting.parse_kilobytes(text, "Swap") == 0


def test_a_process_that_ends_meanwhile_is_passed_over(tmp_path: Path) -> None:
    """The list of processes is older than what is read of each."""
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "stat").write_text(STAT.format(utime=1, stime=0, cutime=0, cstime=0))
    (tmp_path / "self").mkdir()
    assert [stat.pid for stat in accounting.processes(tmp_path)] == [4711]
    assert accounting.in_session(4700, tmp_path)
    assert not accounting.in_session(1, tmp_path)


def test_work_is_counted_for_its_session() -> None:
    """A program that works in a session of its own, and its children, are one group."""
    program = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\ninput()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, start_new_session=True) as process:
        sessions = {"worker#1": process.pid, "idle": os.getsid(0)}
        deadline = time.monotonic() + 20
        before = accounting.read_usage({"worker": -1})
        while accounting.read_usage(sessions).groups["worker"] < 0.29 and time.monotonic() < deadline:
            time.sleep(0.02)
        used = accounting.read_usage(sessions)
        assert 0.29 <= used.groups["worker"] < 5
        assert used.since(before).groups["worker"] == used.groups["worker"]
        assert used.since(before).machine >= 0.2
        assert accounting.memory_kb(process.pid) > 1000
        process.kill()


def test_threads_that_wait_for_a_core_are_seen() -> None:
    """Two programs on one core wait for each other; of both together one waits all the time."""
    program = "import os, time\nos.sched_setaffinity(0, {%d})\nend = time.time() + 60\nwhile time.time() < end: pass"
    one = [sys.executable, "-c", program % min(os.sched_getaffinity(0))]
    with (
        subprocess.Popen(one, start_new_session=True) as first,
        subprocess.Popen(one, start_new_session=True) as second,
    ):
        deadline = time.monotonic() + 50
        try:
            while min(accounting.waited_s(first.pid), accounting.waited_s(second.pid)) < 0.05:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            first.kill()
            second.kill()
