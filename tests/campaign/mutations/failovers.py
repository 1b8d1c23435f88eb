"""Services without what makes a failover harmless: the epoch, the guard, the wait. `tests.failovers` must see each."""

import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .changes import LUA, Change
from .run import copy_of_source

TESTS = Path(__file__).parents[2]
TIMEOUT_S = 600.0
ROUNDS = 4
"""What no replica has at the moment of a failover is chance: of so many failovers one has to show it."""


@dataclass(frozen=True, slots=True)
class FailoverMutation:
    """A broken service. One of these counts of a failover of this kind must be more than zero."""

    name: str
    counts: Sequence[str]
    fault: str
    changes: Sequence[Change]
    options: Sequence[str] = ()


FAILOVER_MUTATIONS: Sequence[FailoverMutation] = (
    FailoverMutation(
        "codes of before a failover go on",
        ("twice", "spent_twice"),
        "planned",
        (Change(f"{LUA}/_life.lua", "  if born == run then return true end\n", "  do return true end\n"),),
        # What the wait would keep is not to be kept: the epoch alone must end what the new primary may not know.
        ("--replicas", "0"),
    ),
    FailoverMutation(
        "a time step that was used before a failover is good again",
        ("steps_twice",),
        "planned",
        (
            Change(
                f"{LUA}/factor/_steps.lua",
                "if not born or is_of_living_run(born) then return 0 end",
                "do return 0 end",
            ),
        ),
        ("--replicas", "0"),
    ),
    FailoverMutation(
        "it is written while a replica is missing",
        ("unknown", "forgotten"),
        "planned",
        (
            Change(
                f"{LUA}/_guard.lua",
                "if of_run ~= store_run() or follow ~= tonumber(need) or follow ~= tonumber(replicas) then",
                "if false then",
            ),
            Change(
                "storage/replica_guard.py",
                "follow if follow == need and follow >= self.expected else None",
                "follow or need",
            ),
        ),
    ),
    FailoverMutation(
        "nobody waits for the replicas",
        ("unknown", "forgotten"),
        "killed-ahead",
        (Change("storage/replica_guard.py", "if confirmed < count:", "if confirmed < 0:"),),
    ),
    FailoverMutation(
        "in a Cluster nobody waits without a setting",
        ("unknown", "forgotten"),
        "killed-ahead",
        (Change("storage/replicas.py", "or expected is None or expected > 0", "or bool(expected)"),),
        ("--store", "cluster"),
    ),
)


async def failed_over(mutation: FailoverMutation) -> tuple[bool, str]:
    """Whether `tests.failovers` sees it, and what it counts. Raises whatever keeps it from running."""
    with tempfile.TemporaryDirectory(prefix="m", dir="/tmp") as directory:
        code = await asyncio.to_thread(_copy, Path(directory), mutation.changes)
        options = ("--json", "--rounds", "1", *mutation.options, "--faults", mutation.fault)
        for _ in range(ROUNDS):
            row = await _row(code, options)
            if seen := {name: row[name] for name in mutation.counts if row[name]}:
                break
    return bool(seen), f"{mutation.fault}: {seen or dict(row)}"


def _copy(directory: Path, changes: Sequence[Change]) -> Path:
    code = copy_of_source(directory, changes)
    (code / TESTS.name).symlink_to(TESTS)
    return code


async def _row(code: Path, options: Sequence[str]) -> Mapping[str, Any]:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "tests.failovers", *options)
    process = await asyncio.create_subprocess_exec(*command, cwd=code, stdout=pipe, stderr=pipe)
    try:
        out, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    finally:
        if process.returncode is None:
            # It ends its servers itself, if it is let.
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 30)
            if process.returncode is None:
                process.kill()
    if not out:
        raise ChildProcessError(err.decode(errors="replace").strip().rpartition("\n")[2])
    row: Mapping[str, Any] = json.loads(out.splitlines()[-1])
    return row
