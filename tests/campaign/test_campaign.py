"""The campaign's command and its plan of faults."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ..conftest import clean_environ, wait_until
from ..e2e.processes import alive, descendants
from .__main__ import NOT_JUDGED, build_parser, conclude
from .breaches import DOUBLE, SLOW
from .case import ELECTIONS, STORE_FAULTS
from .evidence import code_in, verification_part
from .faults import CARRIER_KINDS, PROCESS_KINDS, SETTLE_S, chaos_of, plan, process_kinds
from .sample_evidence import CALLS, T0, WRONG, call, sample

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.campaign"]
WITHIN_S = 120


def test_a_seed_repeats_the_plan() -> None:
    """The same seed and length give the same faults at the same times; another seed gives others."""
    assert plan(7, 70) == plan(7, 70)
    assert plan(7, 70) != plan(8, 70)


@pytest.mark.parametrize("seed", range(5))
def test_a_run_of_two_minutes_has_every_fault(seed: int) -> None:
    """The run of CI has each kind at least once, and the load goes on after the last fault."""
    planned = plan(seed, 70)
    assert {fault.kind for fault in planned} == {kind.name for kind in (*PROCESS_KINDS, *CARRIER_KINDS)}
    assert all(fault.at + fault.lasts <= 70 - SETTLE_S for fault in planned)


@pytest.mark.parametrize("store", ["sentinel", "cluster"])
def test_other_stores_have_faults_of_their_own(store: str) -> None:
    """Each kind of process and store at least once in four minutes; a lone server's crash is none of them."""
    kinds = {fault.kind for fault in plan(7, 200, store)}
    assert kinds == {kind.name for kind in (*process_kinds(store), *CARRIER_KINDS)}
    assert {"planned_failover", "kill_primary", "hang_primary"} < kinds
    assert "kill_store" not in kinds
    assert {kind for kind in kinds if kind in STORE_FAULTS} - {"kill_connections", "flush_scripts"} <= ELECTIONS


@pytest.mark.parametrize("store", ["sentinel", "cluster"])
def test_a_short_run_on_other_stores_begins_with_what_only_they_have(store: str) -> None:
    """The minute of CI has failovers, whatever its seed."""
    for seed in range(20):
        first = next(fault for fault in plan(seed, 15, store) if fault.target != "carrier")
        assert first.kind in ELECTIONS


def test_faults_of_one_sequence_do_not_overlap() -> None:
    """There is time between two faults to measure the recovery."""
    for carrier in (True, False):
        sequence = [fault for fault in plan(3, 300) if (fault.target == "carrier") is carrier]
        assert all(one.at + one.lasts < other.at for one, other in pairwise(sequence))


def test_the_sandbox_accepts_the_settings_of_every_carrier_fault() -> None:
    """Its own validation accepts them."""
    from otp_service.sandbox.chaos import ChaosSettings

    for planned in plan(1, 600):
        if planned.target == "carrier":
            ChaosSettings().merge(dict(chaos_of(planned, 1)))


def test_codes_and_ids_are_parsed() -> None:
    """A code is six digits without a digit beside them. A delivery's id contains its verification's."""
    assert code_in("Acme: 123456 is your code, valid 20 s.") == "123456"
    assert code_in("call +12025550143") == ""
    assert verification_part("dlv_a-b-12") == verification_part("vrf_a-b") == "a-b"


@pytest.mark.parametrize(
    "arguments", [["--minutes", "0"], ["--minutes", "nan"], ["--seed", "-1"], ["--rate", "100"], ["--what"]]
)
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    """The exit status is 2 and nothing is started."""
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 2
    assert "error" in done.stderr


def test_help_explains_the_command() -> None:
    """It says what the command does and has an example."""
    done = subprocess.run([*COMMAND, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert done.returncode == 0
    assert "under faults" in done.stdout
    assert "example:" in done.stdout


@pytest.mark.parametrize(
    ("pause_s", "kind", "status"), [(0.1, SLOW, 1), (40.0, SLOW, NOT_JUDGED), (40.0, DOUBLE, 1), (0.1, DOUBLE, 1)]
)
def test_a_machine_that_stands_still_breaks_no_promise(pause_s: float, kind: str, status: int) -> None:
    """What slowness can cause is not judged then; a code that is approved twice always is."""
    calls = {
        SLOW: (*CALLS, replace(call("check", 1.2, 422, guess=WRONG), ended=T0 + 200)),
        DOUBLE: (*CALLS, replace(CALLS[3], began=T0 + 200, ended=T0 + 200.01)),
    }
    evidence = replace(sample(), pauses=((T0 + 4, T0 + 4 + pause_s),), calls=calls[kind])
    args = build_parser().parse_args(["--seed", "1"])
    assert conclude(evidence, {"store": "server", "minutes": 1.0, "seed": 1}, args) == status


@pytest.fixture
def directory() -> Iterator[Path]:
    """A temporary directory with a path that is short enough for the store's socket."""
    with tempfile.TemporaryDirectory(prefix="t") as name:
        yield Path(name)


def test_ctrl_c_leaves_nothing_behind(directory: Path) -> None:
    """During the load and the faults: the exit status is 130, and no process and no directory is left."""
    environ = clean_environ(TMPDIR=str(directory))
    process = subprocess.Popen(
        [*COMMAND, "--minutes", "1", "--seed", "1"], cwd=ROOT, env=environ, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: list(directory.glob("otp-campaign-*/worker2.log")), WITHIN_S, "the last process")
        time.sleep(4)
        below = descendants(process.pid)
        assert len(below) >= 6, below
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(WITHIN_S) == 130
    finally:
        process.kill()
        process.wait()
    # Whoever was killed last may still be on the way out.
    wait_until(lambda: not any(map(alive, below)), WITHIN_S, f"the end of {below}")
    assert not list(directory.iterdir())
