"""What lies in the repository, and how its tests are made."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NEEDS

from .source import ROOT, modules, nodes

TOP = {"setup.cfg", "setup.py", "otp_service", "tests", "deploy", "README.md"}
"""What stands at the top level, beside licences and what is hidden. Anything new here is a decision."""


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Every file that git knows, relative to the top level."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip(f"{NEEDS} git and a clone")
    done = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in done.stdout.split("\0") if name]


def test_the_top_level_holds_what_it_should(tracked: list[Path]) -> None:
    """A reader sees the package, its tests, how it is run, and nothing that somebody left there."""
    top = {path.parts[0] for path in tracked}
    assert {name for name in top if not name.startswith((".", "LICENSE"))} <= TOP
    assert {"setup.cfg", "setup.py", "otp_service", "tests", "README.md"} <= top


def test_nothing_says_where_packages_come_from(tracked: list[Path]) -> None:
    """Which index serves them is the machine's business: no file names a registry's host."""
    # Written apart, so that this file is not found.
    hosts = ["py" + "pi", "python" + "hosted", "npm" + "js", "art" + "ifactory", "dev" + "pi", "proxy.go" + "lang"]
    place = re.compile(rf"(https?|file)://[^\s/'\"]*({'|'.join(hosts)})|index-url[ =]+(https?|file):")
    for name in tracked:
        path = ROOT / name
        if path.is_file():
            found = place.search(path.read_text(encoding="utf-8", errors="replace"))
            assert found is None, f"{name}: {found and found[0]}"


def test_nothing_that_a_run_leaves_behind_is_tracked(tracked: list[Path]) -> None:
    """No compiled file, no environment, no state of `otp-service dev`, no secret."""
    left = re.compile(
        r"(^|/)(__pycache__|\.venv|\.otp-dev|\.hypothesis|build|dist|[^/]*\.egg-info)/|\.(pyc|rdb|aof|log)$"
    )
    assert [str(path) for path in tracked if left.search(str(path))] == []
    assert [str(path) for path in tracked if path.name in {"env", "keyring.json", ".env"}] == []


# ---- tests put nothing in the place of our code -------------------------------------------------------------------


def ours(tree: ast.Module) -> set[str]:
    """The names by which a file knows modules, classes and functions of the service."""
    names: set[str] = set()
    for node in nodes(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "otp_service":
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found = [alias for alias in node.names if alias.name.split(".")[0] == "otp_service"]
            names |= {alias.asname or "otp_service" for alias in found}
    return names


def replaced(tree: ast.Module) -> Iterator[ast.Call | ast.Assign]:
    """Where a file puts something in the place of a thing of ours, but for numbers that shorten a wait."""
    names = ours(tree)

    def of_ours(node: ast.expr) -> bool:
        if isinstance(node, ast.Constant):
            return isinstance(node.value, str) and node.value.split(".")[0] == "otp_service"
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in names

    for node in nodes(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if called in {"setattr", "delattr", "patch", "object"} and node.args and of_ours(node.args[0]):
                yield node
        elif isinstance(node, ast.Assign):
            targets = [target for target in node.targets if isinstance(target, ast.Attribute)]
            if any(of_ours(target.value) for target in targets):
                yield node


TIME = re.compile(r"[A-Z][A-Z0-9_]*_M?S")


def shortens_a_wait(node: ast.Call | ast.Assign, tree: ast.Module) -> bool:
    """`monkeypatch.setattr(module, "POLL_S", 0.01)`: a constant in capitals becomes another number.

    The number may have a name of the same form.
    """
    if not isinstance(node, ast.Call) or len(node.args) != 3:
        return False
    name, value = node.args[1], node.args[2]
    if isinstance(name, ast.Constant):
        pairs: list[tuple[ast.expr, ast.expr]] = [(name, value)]
    else:  # for name, value in {"POLL_S": 0.01}.items()
        loops = [loop for loop in nodes(tree) if isinstance(loop, ast.For) and node in list(ast.walk(loop))]
        tables = [found for loop in loops for found in ast.walk(loop.iter) if isinstance(found, ast.Dict)]
        pairs = [(key, number) for table in tables for key, number in zip(table.keys, table.values, strict=True) if key]
    return bool(pairs) and all(
        isinstance(key, ast.Constant) and TIME.fullmatch(str(key.value)) and is_time(number) for key, number in pairs
    )


def is_time(value: ast.expr) -> bool:
    """Whether it is a number, or by its name one of seconds or milliseconds."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, int | float)
    return isinstance(value, ast.Name) and bool(TIME.fullmatch(value.id))


def test_no_test_replaces_our_code() -> None:
    """Fakes go in by constructors: what is tested is what runs. Only a wait in seconds may be made shorter."""
    for path, tree in modules(ROOT / "tests"):
        for node in replaced(tree):
            assert shortens_a_wait(node, tree), f"{path.name}:{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize(
    ("code", "clean"),
    [
        ("from otp_service import worker\nm.setattr(worker, 'POLL_S', 0.1)", True),
        ("from otp_service import worker\nfor n, v in {'A_S': 1}.items():\n    m.setattr(worker, n, v)", True),
        ("from otp_service import worker\nLONG_S = 30.0\nm.setattr(worker, 'POLL_S', LONG_S)", True),
        ("from otp_service import worker\nm.setattr(worker, 'Worker', object)", False),
        ("from otp_service import worker\nm.setattr(worker, 'POLL_S', other)", False),
        ("from otp_service import worker\nworker.run = print", False),
        ("from otp_service.web import app as edge\nm.delattr(edge.view, 'x')", False),
        ("from unittest import mock\nmock.patch('otp_service.runtime.delivery_worker.Worker')", False),
        (
            "import otp_service.runtime.delivery_worker\nmock.patch.object(otp_service.runtime.delivery_worker, 'run')",
            False,
        ),
        ("import os\nmock.patch.dict(os.environ, {})", True),
        ("import time\nm.setattr(time, 'sleep', print)", True),
    ],
)
def test_the_rule_knows_a_replacement_when_it_sees_one(code: str, *, clean: bool) -> None:
    """The rule above is itself tried on both sides."""
    tree = ast.parse(code)
    assert all(shortens_a_wait(node, tree) for node in replaced(tree)) is clean


def test_no_test_is_switched_off() -> None:
    """No bare skip and no expected failure: a test runs, or says what the machine lacks."""
    for path, tree in modules(ROOT / "tests"):
        for node in nodes(tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            place = f"{path.name}:{node.lineno}"
            assert called not in {"pytest.mark.skip", "pytest.mark.xfail", "pytest.xfail"}, place
            if called in {"pytest.skip", "pytest.mark.skipif"}:
                said = ast.unparse(node)
                assert re.search(r"NEEDS|needs:|sys\.platform|'no \w+", said), f"{place}: {said}"


def test_one_profile_decides_how_examples_are_run() -> None:
    """Tests choose how many examples they try; deadlines and checks of health stand in `conftest.py` alone."""
    for path, tree in modules(ROOT / "tests"):
        for node in nodes(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "settings":
                named = {keyword.arg for keyword in node.keywords}
                assert named <= {"max_examples", "stateful_step_count", "derandomize"}, f"{path.name}:{node.lineno}"
