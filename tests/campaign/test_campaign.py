"""The command and its plan: what a seed repeats, what is refused, and that nothing is left behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ..conftest import clean_environ
from ..e2e.processes import alive, descendants
from .evidence import body_of, code_in
from .faults import CARRIER_KINDS, PROCESS_KINDS, SETTLE_S, chaos_of, plan

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.campaign"]


def test_a_seed_repeats_the_plan() -> None:
    """The same seed and length deal the same faults at the same times; another seed others."""
    assert plan(7, 70) == plan(7, 70)
    assert plan(7, 70) != plan(8, 70)


@pytest.mark.parametrize("seed", range(5))
def test_two_minutes_hold_every_fault(seed: int) -> None:
    """The run that belongs to CI deals each kind at least once, and the load outlasts the last fault."""
    planned = plan(seed, 70)
    assert {fault.kind for fault in planned} == {kind.name for kind in (*PROCESS_KINDS, *CARRIER_KINDS)}
    assert all(fault.at + fault.lasts <= 70 - SETTLE_S for fault in planned)


def test_faults_of_one_hand_do_not_overlap() -> None:
    """There is time between two of them to see the recovery."""
    for carrier in (True, False):
        mine = [fault for fault in plan(3, 300) if (fault.target == "carrier") is carrier]
        assert all(one.at + one.lasts < other.at for one, other in pairwise(mine))


def test_every_carrier_fault_is_one_the_sandbox_knows() -> None:
    """What is told to the sandbox passes its own check."""
    from otp_service.sandbox.chaos import ChaosSettings

    for planned in plan(1, 600):
        if planned.target == "carrier":
            ChaosSettings().merge(dict(chaos_of(planned, 1)))


def test_codes_and_names_are_read() -> None:
    """Six digits that stand alone; a delivery is named after its verification."""
    assert code_in("Acme: 123456 is your code, valid 20 s.") == "123456"
    assert code_in("call +12025550143") == ""
    assert body_of("dlv_a-b-12") == body_of("vrf_a-b") == "a-b"


@pytest.mark.parametrize(
    "arguments", [["--minutes", "0"], ["--minutes", "nan"], ["--seed", "-1"], ["--rate", "100"], ["--what"]]
)
def test_what_is_not_understood_is_refused(arguments: list[str]) -> None:
    """Exit status 2 and a sentence; nothing is started."""
    done = subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "error" in done.stderr


def test_help_is_help() -> None:
    """It says what is printed and gives an example."""
    done = subprocess.run([*COMMAND, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0
    assert "example:" in done.stdout


@pytest.fixture
def place() -> Iterator[Path]:
    """A temporary directory with a short name, as a store's socket wants it."""
    with tempfile.TemporaryDirectory(prefix="t") as name:
        yield Path(name)


def test_ctrl_c_leaves_nothing_behind(place: Path) -> None:
    """In the middle of the load, faults and all: status 130, no process, no directory."""
    environ = clean_environ(TMPDIR=str(place))
    process = subprocess.Popen(
        [*COMMAND, "--minutes", "1", "--seed", "1"], cwd=ROOT, env=environ, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 40
        while len(list(place.glob("otp-campaign-*/worker2.log"))) < 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(4)
        below = descendants(process.pid)
        assert len(below) >= 6, below
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(25) == 130
    finally:
        process.kill()
        process.wait()
    assert not [line for pid, line in below.items() if alive(pid)]
    assert not list(place.iterdir())
