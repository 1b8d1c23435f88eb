"""`python -m tests.failovers`: failovers under load. Exit status 0 if no code was good twice and nothing was lost."""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from otp_service.storage.store_runs import END_CODES, KEEP_CODES

from .callers import Callers, Process
from .shards import ClusterSite, cluster_site
from .site import Site, site

Open = Callable[[Path], AbstractContextManager[Site | ClusterSite]]
FAULTS = ("planned", "killed", "killed-ahead", "killed-twice", "cut-off", "replica-killed")
STORES: Mapping[str, tuple[Open, int | None]] = {"sentinel": (site, 1), "cluster": (cluster_site, None)}
"""Each with the replicas that the service waits for where no setting says it; None: for all that follow."""

BEFORE_S = 1.5
AFTER_S = 1.5


@dataclass(frozen=True, slots=True)
class Row:
    """What one failover did."""

    fault: str
    accepted: int
    twice: int
    unknown: int
    spent_twice: int
    forgotten: int
    gap_s: float
    refused: int
    slowest_refusal_s: float
    factors: int
    factors_twice: int
    steps_twice: int
    factors_lost: int
    failed: int

    @property
    def is_broken(self) -> bool:
        """Whether something was good twice, or something that was accepted is not so any more.

        Nothing is known either where nothing was accepted, or where a thread of a caller or of the service `failed`.
        """
        counted = (self.twice, self.unknown, self.spent_twice, self.forgotten, self.factors_twice, self.factors_lost)
        return any(counted) or not self.accepted or not self.factors or self.failed > 0

    def text(self) -> str:
        """One line of the table."""
        return (
            f"{self.fault:<14}{self.accepted:>9}{self.twice:>16}{self.unknown:>9}{self.spent_twice:>13}{self.forgotten:>11}"
            f"{self.gap_s:>10.2f}{self.refused:>9}{self.slowest_refusal_s:>12.2f}"
            f"{self.factors:>9}{self.factors_twice:>7}{self.factors_lost:>6}"
        )


HEAD = (
    f"{'fault':<14}{'accepted':>9}{'approved twice':>16}{'unknown':>9}{'spent twice':>13}{'forgotten':>11}"
    f"{'gap (s)':>10}{'refused':>9}{'slowest (s)':>12}"
    f"{'factors':>9}{'twice':>7}{'lost':>6}"
)


def main() -> int:
    """Run them and print what happened."""
    args = build_parser().parse_args()
    if not args.json:
        _say(HEAD)
    rows = []
    opened, replicas = STORES[args.store]
    replicas = replicas if args.replicas is None else args.replicas
    for fault in args.faults or FAULTS:
        for _ in range(args.rounds):
            rows.append(fail_over(opened, fault, args.after_restart, replicas))
            _say(json.dumps(asdict(rows[-1])) if args.json else rows[-1].text())
    return 1 if any(row.is_broken for row in rows) else 0


def fail_over(opened: Open, fault: str, after_restart: str, replicas: int | None) -> Row:
    """One failover of a store of its own."""
    place = tempfile.TemporaryDirectory(prefix="otp-failovers-")
    with failures() as failed, place as directory, opened(Path(directory)) as made:
        processes = [Process(made.url, after_restart, replicas) for _ in range(2)]
        callers = Callers(processes)
        callers.begin()
        time.sleep(BEFORE_S)
        getattr(made, fault.replace("-", "_"))()
        time.sleep(AFTER_S)
        callers.finish()
        # First, while the time steps that were used may still be shown.
        factors_lost = callers.subjects.sweep()
        unknown, forgotten = callers.sweep()
        for process in processes:
            process.close()
    journal = callers.journal
    slowest = max(journal.refusals_s, default=0.0)
    return Row(
        fault,
        len(journal.accepted),
        journal.twice(),
        unknown,
        callers.told.spent_twice(),
        forgotten,
        journal.longest_gap_s(),
        len(journal.refusals_s),
        slowest,
        callers.subjects.told.count,
        callers.subjects.told.twice(),
        callers.subjects.told.steps_twice(),
        factors_lost,
        len(failed),
    )


@contextmanager
def failures() -> Iterator[list[str]]:
    """The names of the threads that ended in an exception meanwhile. Each is reported as ever."""
    report, found = threading.excepthook, list[str]()

    def note(args: threading.ExceptHookArgs) -> None:
        found.append(args.thread.name if args.thread is not None else "")
        report(args)

    threading.excepthook = note
    try:
        yield found
    finally:
        threading.excepthook = report


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.failovers",
        description="Under load, fail a store over, each time a new one: a primary with two replicas and three "
        "sentinels, or one shard of a Cluster that has three with a replica each.",
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each kind (default 5)")
    parser.add_argument("--faults", nargs="*", choices=FAULTS, help="only these kinds")
    parser.add_argument("--store", choices=tuple(STORES), default="sentinel")
    parser.add_argument("--after-restart", choices=(END_CODES, KEEP_CODES), default=END_CODES)
    parser.add_argument(
        "--replicas", type=int, help="as the setting; 0 waits for none (default 1, in a Cluster all that follow)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object for each failover")
    return parser


if __name__ == "__main__":
    sys.exit(main())
