"""How many processes there are by default, and that a worker's loop is kept waiting by nothing of its own process."""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otp_service import config
from otp_service.cli.main import build_parser
from otp_service.runtime import building, event_loop, metrics, worker_process
from otp_service.runtime.signals import Stop


@pytest.mark.parametrize(("cores", "processes"), [(1, 1), (2, 2), (8, 8), (64, 8)])
def test_one_process_for_each_core_at_most_eight(monkeypatch: pytest.MonkeyPatch, cores: int, processes: int) -> None:
    """Those that this process may use, which may be fewer than the machine has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert building.default_processes() == processes


def test_a_worker_runs_so_many_if_it_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--processes` says another number."""
    ran: list[int] = []
    monkeypatch.setattr(worker_process, "run", lambda *args: ran.append(args[2]))
    monkeypatch.setattr(worker_process, "leave", lambda: None)
    monkeypatch.setattr(building, "default_processes", lambda: 3)
    monkeypatch.setattr("otp_service.cli.processes.load_settings", lambda: None)
    monkeypatch.setattr("otp_service.runtime.signals.stop_on_signals", lambda reload: Stop())
    for words in (["worker"], ["worker", "--processes", "1"]):
        args = build_parser().parse_args(words)
        args.run(args)
    assert ran == [3, 1]


@pytest.fixture
def state() -> Iterator[None]:
    """What a worker sets for its whole process, set back."""
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("state")
def test_its_loop_is_not_kept_waiting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What start-up made is in no collection, and other threads give way to the loop, when the work begins."""
    seen: list[tuple[bool, float]] = []

    class Worker:
        def run(self, *_: Any) -> None:
            seen.append((gc.get_freeze_count() > 0, round(sys.getswitchinterval(), 6)))

    monkeypatch.setattr(metrics, "metrics_directory", lambda _: contextlib.nullcontext(tmp_path))
    monkeypatch.setattr(worker_process, "_built", lambda *_: Worker())
    worker_process.run(config.load({}), Stop(), 1, 1, ("127.0.0.1", None))
    assert seen == [(True, event_loop.SWITCH_INTERVAL_S)]
