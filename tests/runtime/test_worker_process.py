"""How many processes there are by default, and that a worker's loop is kept waiting by nothing of its own process."""

import gc
import os
import sys
from collections.abc import Iterator

import pytest

from otp_service.cli.main import build_parser
from otp_service.runtime import building, event_loop, worker_process


@pytest.mark.parametrize(("cores", "processes"), [(1, 1), (2, 2), (8, 8), (64, 8)])
def test_one_process_for_each_core_at_most_eight(monkeypatch: pytest.MonkeyPatch, cores: int, processes: int) -> None:
    """Those that this process may use, which may be fewer than the machine has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert building.default_processes() == processes


@pytest.mark.parametrize(("words", "processes"), [(["worker"], None), (["worker", "--processes", "1"], 1)])
def test_a_worker_runs_so_many_if_it_is_told_nothing(words: list[str], processes: int | None) -> None:
    """`--processes` says another number."""
    assert build_parser().parse_args(words).processes == processes


@pytest.fixture
def state() -> Iterator[None]:
    """What a worker sets for its whole process, set back."""
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("state")
def test_its_loop_is_not_kept_waiting() -> None:
    """What start-up made is in no collection, and other threads give way to the loop, when the work begins."""
    worker_process.prepare_for_the_loop()
    assert gc.get_freeze_count() > 0
    assert round(sys.getswitchinterval(), 6) == event_loop.SWITCH_INTERVAL_S
