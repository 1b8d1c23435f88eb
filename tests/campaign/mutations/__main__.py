"""`python -m tests.campaign.mutations`: see `--help`.

Exit status: 0 if the judge saw every mutation and found nothing in the service as it is, 1 if not, 2 if a run failed
before its end, which says nothing about the judge.
"""

import argparse
import asyncio
import fnmatch
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ..judge import Verdict
from .changes import MUTATIONS, Mutation
from .failovers import FAILOVER_MUTATIONS, FailoverMutation, failed_over
from .run import Run, run_of
from .scenarios import log_in_while_a_shard_is_down, log_in_while_the_store_hangs

AnyMutation = Mutation | FailoverMutation
EVERY: Sequence[AnyMutation] = (*FAILOVER_MUTATIONS, *MUTATIONS)
Judged = Callable[[], Awaitable[tuple[bool | None, str]]]
"""Runs a service; whether the judge saw what is true of it, and its words."""

AS_IT_IS = ("the service as it is", "as it is, while the store hangs", "as it is, with a shard down")
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one run. `seen` None: it failed before its end."""

    name: str
    seen: bool | None
    words: str
    took_s: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them and print a line for each."""
    args = build_parser().parse_args(arguments)
    part, parts = args.part
    chosen = [mutation for mutation in EVERY[part - 1 :: parts] if fnmatch.fnmatch(mutation.name, args.only)]
    if not chosen:
        build_parser().error(f"no mutation has a name like {args.only!r}")
    results = asyncio.run(_all(chosen, args.jobs, with_original=args.only == "*"))
    missed = [result for result in results if result.seen is False]
    failed = [result for result in results if result.seen is None]
    _say(f"{len(results) - len(missed) - len(failed)} of {len(results)} as expected")
    return 1 if missed else 2 if failed else 0


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaign.mutations",
        description="Break the service in one way after the other, run a scenario against it as real processes, and "
        "require that the campaign's judge, or tests.failovers, says which promise "
        "fell. The service as it is must keep all of them.",
        epilog="example: python -m tests.campaign.mutations --only '*opt-outs*'",
    )
    parser.add_argument("--only", default="*", metavar="GLOB", help="names of mutations (default: all)")
    parser.add_argument(
        "--part", type=_part, default=(1, 1), metavar="K/N", help="every Nth of them, from the Kth on (default: all)"
    )
    parser.add_argument("--jobs", type=int, default=4, help="how many run at once (default 4)")
    return parser


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 1/2: the first, third, fifth, ...")
    return int(part), int(parts)


async def _all(chosen: Sequence[AnyMutation], jobs: int, *, with_original: bool) -> list[Result]:
    limit = asyncio.Semaphore(jobs)
    runs = [_limited(limit, mutation.name, partial(_mutated, mutation)) for mutation in chosen]
    if with_original:
        runs = [_limited(limit, *named) for named in _originals()] + runs
    return list(await asyncio.gather(*runs))


async def _limited(limit: asyncio.Semaphore, name: str, judged: Judged) -> Result:
    async with limit:
        began = time.monotonic()
        for _ in range(ATTEMPTS):
            try:
                seen, words = await judged()
            except Exception as error:  # noqa: BLE001 - whatever went wrong here, nothing was judged
                seen, words = None, f"not judged: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
            if seen:
                break
        result = Result(name, seen, words, time.monotonic() - began)
        _say(f"{_MARKS[result.seen]:6} {result.name:42} {result.took_s:5.1f} s  {result.words}")
        return result


async def _mutated(mutation: AnyMutation) -> tuple[bool | None, str]:
    if isinstance(mutation, FailoverMutation):
        return await failed_over(mutation)
    verdict = await run_of(mutation).verdict()
    found = [breach for breach in verdict.breaches if breach.kind in mutation.falls]
    wanted = " or ".join(mutation.falls)
    return bool(found), f"{wanted}: {found[0].detail}" if found else f"{wanted} was not reported{_others(verdict)}"


def _originals() -> list[tuple[str, Judged]]:
    scenarios = dict.fromkeys(mutation.scenario for mutation in MUTATIONS)
    scenarios.pop(log_in_while_the_store_hangs)
    scenarios.pop(log_in_while_a_shard_is_down)
    # A store that hangs may delay a callback by the half minute that its worker has for it: not waited for here.
    runs = [
        Run(list(scenarios)),
        Run([log_in_while_the_store_hangs], callbacks=False),
        Run([log_in_while_a_shard_is_down], callbacks=False, judged_twice=False, store="cluster"),
    ]
    return [(name, partial(_original, run)) for name, run in zip(AS_IT_IS, runs, strict=True)]


async def _original(run: Run) -> tuple[bool | None, str]:
    verdict = await run.verdict()
    return not verdict.breaches, _others(verdict) or "every promise held"


def _others(verdict: Verdict) -> str:
    found = {breach.kind: f"{breach.subject}: {breach.detail}" for breach in verdict.breaches}
    return "".join(f"; {kind}: {detail}" for kind, detail in found.items())


_MARKS = {True: "seen", False: "MISSED", None: "failed"}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
