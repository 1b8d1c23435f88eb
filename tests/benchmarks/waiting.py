"""What thousands of browsers that wait for news cost one process: memory, CPU, and the speed of checks meanwhile."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import accounting, measure
from .measure import Leg, Shape, Wrong
from .ours import OtpService, OurStack
from .post import post_all
from .rows import Options
from .target import Kind, require

ROW = "checks beside those who wait"


def row(target: OtpService, stack: OurStack, options: Options, number: int) -> Iterator[Leg]:
    """Checks without them, beside them, and without them again: the ends are averaged, since the machine varies."""
    name = (ROW, target.name, number)
    shape = Shape(16, options.seconds, options.warm_up_s, options.expected)
    first = measure.run(stack, Kind.WRONG, shape, name, options.generator)
    job = measure.prepare(stack, Kind.WRONG, shape, options.generator)
    before_kb = accounting.memory_kb(stack.programs.sessions["service"])
    held = _held(_start_waiters(stack, options.waiting), options.waiting)
    idle = _idle_cores(stack, options.seconds)
    with_kb = accounting.memory_kb(stack.programs.sessions["service"])
    beside = measure.execute(stack, Kind.WRONG, job, name, options.generator)
    stack.programs.stop("waiters")
    last = measure.run(stack, Kind.WRONG, shape, name, options.generator)
    extra = {
        **_told(held),
        "memory MB before": before_kb / 1024,
        "memory MB with": with_kb / 1024,
        "cores while idle": idle,
        "checks that failed": float(beside.failed),
        **_beside("", [first.per_s, last.per_s], beside.per_s),
        **_beside("CPU", [one.cpu_us["service"] for one in (first, last)], beside.cpu_us["service"]),
    }
    row_name = f"{options.waiting:,} browsers wait for news"
    yield Leg(row_name, target.name, number, 0.0, 0.0, 0.0, {}, beside.other_cores, 0, extra=extra)


def _told(held: Mapping[str, Any]) -> dict[str, float]:
    refused = sum(count for status, count in held["statuses"].items() if status != "200")
    return {"wait": float(held["waiting"]), "refused": float(refused), "errors": float(held["errors"])}


def _beside(kind: str, without: list[float], beside: float) -> dict[str, float]:
    name = "check CPU µs" if kind else "checks a second"
    return {f"{name} before": sum(without) / len(without), f"{name} with": beside}


def _idle_cores(stack: OurStack, seconds: int) -> float:
    began = measure.usage_now(stack)
    time.sleep(seconds)
    return measure.usage_now(stack).since(began).groups["service"] / seconds


def _start_waiters(stack: OurStack, count: int) -> Path:
    answers = post_all(stack.url, stack.starts(count), stack.headers)
    require([status for status, _ in answers], 201, "starts of those who wait")
    file = stack.programs.folder / "waiters.txt"
    told = [json.loads(body) for _, body in answers]
    file.write_text("".join(f"{one['verification_id']} {one['watch_token']}\n" for one in told), encoding="utf-8")
    stack.start_waiters(file, seconds=300)
    return file


def _held(file: Path, count: int) -> dict[str, Any]:
    """The state when all wait, or when 40 seconds are over."""
    state: dict[str, Any] = {}
    for _ in range(80):
        time.sleep(0.5)
        if (path := file.with_suffix(".state")).exists() and (text := path.read_text(encoding="utf-8")):
            state = json.loads(text)
        if state.get("waiting") == count:
            break
    if not state:
        raise Wrong("the waiting browsers do not start")
    return state
