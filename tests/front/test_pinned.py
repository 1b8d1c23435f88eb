"""What our classes use of uvicorn without being promised it: each fails by name where another version lacks it.

How these parts behave is in `test_protocol`, `test_slow`, `test_ending` and `test_waiting`, over real connections.
"""

import ast
import asyncio
import configparser
import inspect
import re
from importlib.metadata import version
from typing import Any, cast

import pytest
from uvicorn import Config, Server
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from otp_service.front.connection import Connection
from otp_service.front.exchange import Exchange
from otp_service.front.protocol import FrontProtocol, _Ending
from otp_service.front.server import FrontServer
from otp_service.web.problems import STATUS
from tests.documents.reading import ROOT

PINNED = ("uvicorn", "httptools", "uvloop")
SUBCLASSES = {HttpToolsProtocol: (Connection, FrontProtocol), Server: (FrontServer,)}
OF_ITS_OWN_CYCLES = {"run_asgi", "more_body"}
"""What uvicorn's protocol uses of a request while it reads it or begins it, which it does with its own only."""


@pytest.mark.parametrize("package", PINNED)
def test_one_version_is_asked_for(package: str) -> None:
    """And it is the one that these tests run on. A new one is a change to be made with the tests of this folder."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    line = next(one for one in setup["options"]["install_requires"].splitlines() if one.startswith(f"{package} "))
    pinned = re.match(rf"{package} == ([0-9.]+)(?:;|$)", line)
    assert pinned is not None, f"{line}: pin one version with =="
    assert version(package) == pinned[1], f"{package} {version(package)} is installed, setup.cfg pins {pinned[1]}"


def own_and_used(classes: tuple[type, ...]) -> tuple[set[str], set[str]]:
    """The names that our classes define with `def`, or assign as private, and all that they use of `self`."""
    own: set[str] = set()
    used: set[str] = set()
    for kind in classes:
        for node in ast.walk(ast.parse(inspect.getsource(kind))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                used.add(node.attr)
                if isinstance(node.ctx, ast.Store) and node.attr.startswith("_"):
                    own.add(node.attr)
    return own, used


def instance(base: type) -> Any:
    """An object of uvicorn's class, as it makes it itself."""
    config = Config(cast("Any", instance), ws="none", lifespan="off", log_config=None)
    if base is Server:
        return Server(config)
    return HttpToolsProtocol(config, ServerState(), {}, asyncio.new_event_loop())


@pytest.mark.parametrize("base", SUBCLASSES, ids=lambda base: base.__name__)
def test_what_our_classes_use_is_there(base: type) -> None:
    """Every attribute and method of uvicorn's that they read, set or call."""
    own, used = own_and_used(SUBCLASSES[base])
    there, source = instance(base), inspect.getsource(base)
    missing = {name for name in used - own if not hasattr(there, name) and f"self.{name} = " not in source}
    if base is HttpToolsProtocol:
        there.loop.close()
    assert used - own, "nothing is found in our classes: this test does not look right"
    assert not missing, f"uvicorn {version('uvicorn')}: {base.__name__} has not {sorted(missing)}, which ours use"


@pytest.mark.parametrize("base", SUBCLASSES, ids=lambda base: base.__name__)
def test_what_our_classes_replace_is_called_as_before(base: type) -> None:
    """A method that uvicorn calls has the same parameters there and here."""
    replaced = 0
    for kind in SUBCLASSES[base]:
        for name, method in vars(kind).items():
            theirs = getattr(base, name, None)
            if name.startswith("__") or not inspect.isfunction(method) or theirs is None:
                continue
            replaced += 1
            ours, before = (len(inspect.signature(one).parameters) for one in (method, theirs))
            assert ours == before, f"uvicorn {version('uvicorn')}: {base.__name__}.{name} takes {before} arguments"
    assert replaced >= 3


def test_what_stands_for_uvicorns_request_has_all_that_is_used_of_it() -> None:
    """`Exchange` in the place of a `RequestResponseCycle`: whatever the protocol asks of one it must have."""
    used = set(re.findall(r"\bcycle\.(\w+)", inspect.getsource(HttpToolsProtocol)))
    assert used - OF_ITS_OWN_CYCLES <= set(Exchange.__slots__), f"uvicorn {version('uvicorn')} uses {used}"
    assert {"response_complete", "keep_alive", "message_event", "disconnected"} <= used


def test_what_stands_for_the_transport_has_all_that_is_used_of_it() -> None:
    """`_Ending`, for uvicorn's own requests."""
    used = set(re.findall(r"self\.transport\.(\w+)", inspect.getsource(RequestResponseCycle)))
    assert used <= {*_Ending.__slots__, "close"}, f"uvicorn {version('uvicorn')} uses {used} of a transport"


def test_what_else_is_used() -> None:
    """The state that connections share, the bytes that begin a response, and the flow of what is sent."""
    state = ServerState()
    assert (state.connections, state.default_headers) == (set(), [])
    assert STATUS_LINE[200] == b"HTTP/1.1 200 OK\r\n"
    assert {STATUS_LINE[status][-2:] for status, _ in STATUS.values()} == {b"\r\n"}
    flow = FlowControl(cast("Any", None))
    assert flow.write_paused is False
    assert callable(flow.resume_reading)
