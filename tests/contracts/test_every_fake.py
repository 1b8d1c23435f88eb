"""Every port with a fake has a suite that runs on the fake and on what runs in production."""

import ast
import inspect
from pathlib import Path

import pytest

from otp_service.storage.outbox import Outbox
from otp_service.storage.timers import Timers
from otp_service.usecases import ports

from .. import fakes

HERE = Path(__file__).parent


def fakes_by_port() -> list[tuple[str, str]]:
    """Port and fake of each line at the end of `fakes.py` by which mypy proves that the fake fits."""
    tree = ast.parse(Path(fakes.__file__).read_text(encoding="utf-8"))
    last = tree.body[-1]
    assert isinstance(last, ast.If)
    lines = [ast.unparse(line) for line in last.body]
    pairs = [line.split(": ", 1)[1].split(" = ") for line in lines]
    return [(port.removeprefix("ports."), made.partition("(")[0]) for port, made in pairs]


def suites(fake: str) -> list[ast.Module]:
    """The modules of tests here that use the fake, by itself or by the harness in memory."""
    users = {path: path.read_text(encoding="utf-8") for path in HERE.glob("*.py")}
    in_memory = fake in users[HERE / "memory.py"]
    return [
        ast.parse(text)
        for path, text in users.items()
        if path.name.startswith("test_") and (fake in text or (in_memory and "stores: StoreHarness" in text))
    ]


WITHOUT_A_PORT = {"FakeStreams": (Outbox, Timers)}
"""What the delivery worker takes as `storage` has it; the fake plays a dead worker, and a store that is down."""


def test_every_fake_is_checked_against_its_port() -> None:
    """Each class of `fakes.py` is in the list at its end, or extends a use case."""
    classes = {
        name
        for name, kind in inspect.getmembers(fakes, inspect.isclass)
        if kind.__module__ == fakes.__name__ and name.startswith("Fake") and kind.__mro__[1] is object
    }
    assert classes == {fake for _, fake in fakes_by_port()} | set(WITHOUT_A_PORT)


@pytest.mark.parametrize("fake", WITHOUT_A_PORT)
def test_a_fake_without_a_port_has_the_methods_of_the_real_parts(fake: str) -> None:
    """With the same parameters and results."""

    def methods(kind: type) -> dict[str, str]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: str(inspect.signature(method)) for name, method in found if not name.startswith("_")}

    real = methods(WITHOUT_A_PORT[fake][0]) | methods(WITHOUT_A_PORT[fake][1])
    assert methods(getattr(fakes, fake)).items() <= real.items()


@pytest.mark.parametrize(("port", "fake"), fakes_by_port())
def test_every_port_with_a_fake_has_a_contract_suite(port: str, fake: str) -> None:
    """In which each method of the port is called."""
    methods = {name for name in vars(getattr(ports, port)) if not name.startswith("_")}
    called = {node.attr for module in suites(fake) for node in ast.walk(module) if isinstance(node, ast.Attribute)}
    assert methods
    assert methods <= called, f"no contract suite calls {sorted(methods - called)} of {fake}"
