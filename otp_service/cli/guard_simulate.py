"""`otp-service guard simulate`: the guard's rules and two other defences under simulated pumping."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import count, file_path, many, seed
from .output import note, print_json, print_line, print_table
from .parser import UsageError, add_command, json_option
from .progress import Progress

if TYPE_CHECKING:
    from ..guard_simulation.campaign import Size
    from ..guard_simulation.figures import Row

COLUMNS = ("shape", "defence", "pumped a day", "worst day", "honest refused %", "known refused", "minutes to trip")


def register(guard: Any) -> None:
    """Add the command to its group."""
    command = add_command(
        guard,
        "simulate",
        _simulate,
        line="run simulated pumping against the guard's rules and two other defences",
        text="Nothing is sent and no store is needed. The small size runs five seeds of 1,000 honest starts a day; "
        "the large one also 10,000 a day, and attacks by somebody who knows the rules. The exit status is 1 if the "
        "guard misses one of its aims.",
        example="otp-service guard simulate --seed 7",
    )
    command.add_argument("--seed", metavar="S", type=seed, default=1, help="the first of the seeds (default 1)")
    command.add_argument("--size", choices=("small", "large"), default="small", help="how much to run (default small)")
    command.add_argument("--seeds", metavar="N", type=count, help="how many seeds (default 5)")
    command.add_argument("--honest-a-day", metavar="N", type=many, help="honest starts a day (default: the size's)")
    command.add_argument("--shape", metavar="NAME", action="append", help="only this shape; may be given several times")
    command.add_argument("--picture", metavar="FILE", type=file_path, help="also draw the attacks as SVG")
    json_option(command)


def _simulate(args: argparse.Namespace) -> int:
    from ..guard_simulation.campaign import simulate  # noqa: PLC0415

    with Progress("Simulating", "seeds") as progress:
        found = simulate(args.seed, _size(args), progress.advance)
    aims = list(_missed(found))
    if args.picture is not None:
        _draw(args.picture, found[min(found)])
    if args.json:
        volumes = [
            {"honest_a_day": per_day, "rows": [row.as_json() for row in rows]} for per_day, rows in found.items()
        ]
        print_json({"seed": args.seed, "size": args.size, "volumes": volumes, "aims_missed": aims})
    else:
        _print(found, aims)
    return 1 if aims else 0


def _size(args: argparse.Namespace) -> "Size":
    from ..guard_simulation.campaign import SIZES, Size  # noqa: PLC0415
    from ..guard_simulation.shapes import KNOWING, USUAL  # noqa: PLC0415

    size, known = SIZES[args.size], {shape.name: shape for shape in USUAL + KNOWING}
    for name in args.shape or ():
        if name not in known:
            raise UsageError(f"there is no shape {name!r} (there: {', '.join(known)})")
    return Size(
        (args.honest_a_day,) if args.honest_a_day else size.per_day,
        args.seeds or size.seeds,
        [known[name] for name in args.shape] if args.shape else size.shapes,
    )


def _missed(found: Mapping[int, Sequence["Row"]]) -> Iterator[str]:
    from ..guard_simulation.aims import missed  # noqa: PLC0415
    from ..guard_simulation.run import GUARD  # noqa: PLC0415

    # The aims are for small services: there an attack is large against the honest traffic.
    yield from missed([row for row in found[min(found)] if row.defence == GUARD])


def _print(found: Mapping[int, Sequence["Row"]], aims: Sequence[str]) -> None:
    for per_day, rows in found.items():
        print_line(f"{per_day:,} honest starts a day")
        print_table(COLUMNS, [_cells(row) for row in rows])
        print_line("")
    for aim in aims:
        note(f"missed: {aim}")
    if not aims:
        print_line("The guard reaches all of its aims.")


def _cells(row: "Row") -> list[str]:
    attack = row.shape.attack is not None
    return [
        row.shape.title,
        row.defence,
        row.pumped.text() if attack else "-",
        f"{row.worst_day.most:,.0f}" if attack else "-",
        row.refused.text(2),
        f"{row.known_refused:,}",
        row.tripped_min.text() if row.tripped_min is not None else "-",
    ]


def _draw(path: Path, rows: Sequence["Row"]) -> None:
    from ..guard_simulation.picture import draw  # noqa: PLC0415
    from ..guard_simulation.shapes import ATTACKS  # noqa: PLC0415

    try:
        path.write_text(draw([row for row in rows if row.shape in ATTACKS]), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
