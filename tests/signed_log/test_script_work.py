"""The work of a bundle's script grows as the records do: how many programs it starts."""

from pathlib import Path

from tests.conftest import needs_program

from .__main__ import bundle_of
from .verify_script import programs_in, run

OF_A_RECORD = 3
"""Its bytes are copied once, and twice what is disclosed of it."""


def started(directory: Path, count: int) -> int:
    """How many programs the script starts for a bundle of so many records, each with what is disclosed of it."""
    directory.mkdir()
    programs, log = programs_in(directory / "made-programs", "awk"), directory / "started"
    for program in [*programs.iterdir()]:
        real = program.resolve()
        program.unlink()
        program.write_text(f'#!{needs_program("sh")}\necho {program.name} >> "{log}"\nexec {real} "$@"\n')
        program.chmod(0o755)
    status, printed = run(directory / "made", bundle_of(directory, count))
    assert (status, printed.startswith(f"VERIFIED: {count} records")) == (0, True), printed
    return log.read_text().count("\n")


def test_programs_that_are_started(tmp_path: Path) -> None:
    """For each further record no more than copies of its bytes: no proof takes programs of its own, however long."""
    few, many = started(tmp_path / "few", 20), started(tmp_path / "many", 80)
    levels = 2  # a tree of four times as many records has two levels more, and each takes some programs
    assert many - few <= 60 * OF_A_RECORD + levels * 20, (few, many)
