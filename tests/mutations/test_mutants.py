"""The mutation run: its operators, its tables and a short run."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from . import lua, python
from .__main__ import table
from .run import KILLED, SURVIVED, Memory, Result, mutants_of
from .suites import ROOT, core_files, suite_of

SCRIPT = """\
-- a < b stays: it is a comment
local left = most - tries
if left > 0 and not done then
  redis.call('SET', key, 'a < b')
  return math.min(left, 1)
end
add(fields, value)
"""
MODULE = '''\
"""1 < 2 stays: it is a docstring."""

def judge(a: int, b: int = 3) -> bool:
    note(a, b)
    return a < b and not a == 0
'''


def test_mutants_of_a_script() -> None:
    """Each changes one thing; strings and comments stay."""
    made = {mutant.what: mutant.text for mutant in lua.mutants("x.lua", SCRIPT)}
    assert set(made) >= {
        "`-` becomes `+`",
        "`>` becomes `>=`",
        "`and` becomes `or`",
        "`not` dropped",
        "`0` becomes `1`",
        "`math.min` becomes `math.max`",
        "dropped `redis.call('SET', key, 'a < b')`",
        "`(fields, value)` becomes `(value, fields)`",
    }
    assert all("a < b stays" in text for text in made.values())
    assert "  redis.call('SET', key, 'a < b')\n" not in made["dropped `redis.call('SET', key, 'a < b')`"]


def test_mutants_of_a_module() -> None:
    """Each can be parsed and differs."""
    made = [mutant.text for mutant in python.mutants("x.py", MODULE)]
    assert len(set(made)) == len(made) == 8
    assert all("1 < 2 stays" in ast.unparse(ast.parse(text)) for text in made)
    assert any("a <= b" in text for text in made)
    assert any("note(b, a)" in text for text in made)
    assert any("b: int=4" in text for text in made)


def test_every_script_of_the_core_has_tests() -> None:
    """The table names files that exist, and each script has some."""
    files = core_files("*")
    assert len(files) > 80
    assert [path for path in files if path.endswith(".lua") and not suite_of(path)] == []
    assert core_files("verification/check.lua") == ["otp_service/storage/lua/verification/check.lua"]
    assert sum(len(mutants_of(path)) for path in core_files("verification/check.lua")) > 50


def test_results_are_remembered(tmp_path: Path) -> None:
    """A run goes on where an earlier one ended."""
    Memory(tmp_path / "state").add(Result("a.lua:1: `<` becomes `<=`", KILLED, 2))
    Memory(tmp_path / "state").add(Result("a.lua:2: `0` becomes `1`", SURVIVED, 2))
    results = list(Memory(tmp_path / "state").results.values())
    shown = table(results, 5)
    assert "2 of 5 mutants tried: 1 killed, 1 survived" in shown
    assert "| `a.lua` | 2 | `0` becomes `1` |" in shown
    assert "`<` becomes" not in shown


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--minutes", "x"]])
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    """Nothing is run."""
    command = [sys.executable, "-m", "tests.mutations", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, "error" in done.stderr) == (2, True)
