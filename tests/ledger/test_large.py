"""The measurement of a large ledger, with a small one."""

import re
from pathlib import Path

import pytest

from .__main__ import main


def test_a_small_ledger_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Written, copied, read by every filter with and without the file in memory; nothing is left out."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.ledger.__main__.WRITTEN", 1_500)
        main(["--rows", "3000", "--reads", "1", "--keep", str(tmp_path)])
    printed = capsys.readouterr().out
    written, size = (int(found) for found in re.findall(r"(\d+) records (?:written )?in", printed))
    assert size == 2 * written > 2_000
    lines = [line for line in printed.splitlines() if line.endswith(" x")]
    assert len(lines) == 2 * len({line[:38] for line in lines}) == 2 * 40
