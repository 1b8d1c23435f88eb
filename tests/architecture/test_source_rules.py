"""What the codebase promises about itself."""

import ast
import configparser
import fnmatch
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import pytest

from otp_service import telemetry
from otp_service.domain import audit, errors
from otp_service.domain.verification import ENDED_CODE
from otp_service.storage.api_keys import SCOPES
from otp_service.storage.schema import Keys
from otp_service.storage.script_files import load, names
from otp_service.web.http import Route
from otp_service.web.problems import STATUS, Problems
from otp_service.web.routes.all_routes import Backend, all_routes
from tests.conftest import NEEDS

from .source import PACKAGE, ROOT, modules, nodes

LUA = PACKAGE / "storage" / "lua"
FRAGMENTS = sorted(path for path in LUA.rglob("_*.lua"))
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("POST", "/webhooks/telnyx"),  # the carrier's signature
    ("POST", "/webhooks/telnyx/{delivery_id}"),
}
"""The endpoints that need no API key. Anything new here is a decision."""


def calls(tree: ast.Module, name: str) -> Iterator[ast.Call]:
    """Calls of a function or method of this name."""
    for node in nodes(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if called == name:
                yield node


def first_text(call: ast.Call) -> str | None:
    """The first argument, if it is a literal text."""
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


# ---- Lua ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_a_script_declares_itself(name: str) -> None:
    """First line `#!lua`, so a cluster refuses a foreign slot; then what it does, KEYS, ARGV, reply and invariant."""
    lines = (LUA / f"{name}.lua").read_text(encoding="utf-8").split("\n")
    assert lines[0] == "#!lua"
    header = [line for line in lines[1:] if line.startswith("--")]
    words = [line.split()[1] for line in header if len(line.split()) > 1]
    for word in ("KEYS", "ARGV", "Reply", "Holds"):
        assert word in words, word
    assert re.search(r"^-- [A-Z]", "\n".join(lines[1:]), re.MULTILINE)


@pytest.mark.parametrize("name", names())
def test_a_script_builds_no_key(name: str) -> None:
    """Every key comes from Python by KEYS: no call on a literal or joined name, no evaluated text."""
    script = load(name)
    text, declared = script.text, {*script.keys, *script.optional}
    assert "otp:" not in text
    assert "loadstring" not in text
    # Of a command with a word of its own behind it (XINFO GROUPS) the key comes after that.
    for command, key in re.findall(r"redis\.call\('([A-Z]+)',\s*(?:'(?:GROUPS|SETID)',\s*)?([^,)]+)", text):
        named = r"[a-z_]+_key|c\.(who\.)?[a-z_]+|who\.record|record|secrets|"
        named += "number|timers|audit|optouts|opted_out|index|list|sends|key"
        assert re.fullmatch(named, key), (command, key)
        assert not key.endswith("_key") or key.removesuffix("_key") in declared, (command, key)


def test_every_script_is_run_and_every_run_has_a_script() -> None:
    """No dead Lua, and no name that is not there."""
    run: set[str] = set()
    for path, tree in modules(PACKAGE / "storage"):
        if path.parent.name != "storage":
            continue
        texts = {node.value for node in nodes(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        named = {text for text in texts if re.fullmatch("[a-z_]+/[a-z_]+", text)}
        assert named <= set(names()), path
        # Where the group is written once for several: f"delivery/{script}".
        groups = {text for text in texts if re.fullmatch("[a-z_]+/", text)}
        run |= named | {name for name in names() for group in groups if name.removeprefix(group) in texts}
    assert run == set(names())
    assert {str(path.relative_to(LUA))[:-4] for path in set(LUA.rglob("*.lua")) - set(FRAGMENTS)} == set(names())


def test_fragments_are_included_and_are_no_scripts() -> None:
    """What begins with an underscore is part of others only."""
    texts = [(LUA / f"{name}.lua").read_text(encoding="utf-8") for name in names()]
    included = {name for text in texts for name in re.findall(r"^-- include: (\S+)$", text, re.MULTILINE)}
    assert included == {str(path.relative_to(LUA)) for path in FRAGMENTS}
    assert not any(path.read_text(encoding="utf-8").startswith("#!") for path in FRAGMENTS)


def test_the_record_has_a_name_for_every_event() -> None:
    """What scripts write into the record is in the list of event types, and the list has no more than is written."""
    text = "\n".join(load(name).text for name in names())
    written = set(
        re.findall(
            r"'((?:verification|delivery|report|check|receipt|optout|person|factor|store|guessing)\.[a-z_]+)'", text
        )
    )
    known = set(audit.EventType)
    assert written <= known
    joined = {
        f"delivery.{status}" for status in ("expired", "suppressed", "failed", "delivered", "unconfirmed", "sent")
    }
    named = (
        "webhook",
        "key",
        "scope",
        "reply",
        "ledger",
        "witness",
        "evidence",
        "service",
        "configuration",
        "keyring",
        "callbacks",
        "outbox",
        "replicas",
        "carrier",
        "limit",
        "audit",
        "guard",
    )
    elsewhere = {kind for kind in known if kind.partition(".")[0] in named}
    elsewhere |= {
        audit.EventType.STARTED,
        audit.EventType.STORE_EMPTIED,
        audit.EventType.PERSON_SHOWN,
        audit.EventType.PERSON_ERASED,
    }
    assert known - written <= joined | elsewhere


# ---- keys, errors, routes, metrics --------------------------------------------------------------------------------


def _key_functions() -> list[tuple[str, Any]]:
    found = inspect.getmembers(Keys, inspect.isfunction)
    return [(name, function) for name, function in found if not name.startswith("_") and name != "shard"]


@pytest.mark.parametrize(
    ("name", "function"), _key_functions(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_key_says_what_it_is(name: str, function: Any) -> None:
    """Its type first, and how long it lives."""
    text = inspect.getdoc(function) or ""
    assert re.match(r"(String|Hash|List|Set|Sorted set|Stream|Integer): ", text), name
    assert "TTL" in text, name


def test_only_the_keyspace_builds_keys() -> None:
    """No other module of the service writes a key's beginning."""
    for path, tree in modules():
        texts = [node.value for node in nodes(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        place = path.relative_to(PACKAGE)
        if place != Path("storage/schema/keys.py") and "sandbox" not in place.parts:
            assert not [text for text in texts if re.match(r"otp:\S*\{", text)], path


def test_every_code_has_a_status() -> None:
    """Whatever a use case, a script or the HTTP layer can refuse with has its line in the table."""
    codes = set(ENDED_CODE.values())
    for path, tree in modules():
        if not {"usecases", "web", "domain"} & set(path.parts):
            continue
        for name in ("Refusal", "of", "refusal", "problem"):
            codes |= {
                text for call in calls(tree, name) if (text := first_text(call)) and re.fullmatch("[a-z_]+", text)
            }
    start = load("verification/start").text
    codes |= set(re.findall(r"refuse\('([a-z_]+)'", start))
    assert len(codes) > 15
    assert codes - set(STATUS) == set()


def test_every_exception_of_ours_is_shown_or_hidden() -> None:
    """One without a line in the table is an internal error that says nothing."""
    problems = Problems("https://otp.example")
    for kind in errors.ServiceError.__subclasses__():
        problem = problems.error(kind("some detail of ours"), "req_1")
        status = STATUS.get(kind.code, (500, ""))[0]
        assert problem.status == status
        assert status < 500 or b"some detail of ours" not in problem.body


def test_statuses_fit_their_codes() -> None:
    """Each is an HTTP error, titled in words; only an approval is a success."""
    for code, (status, title) in STATUS.items():
        assert re.fullmatch("[a-z_]+", code)
        assert 400 <= status <= 503
        assert title


def routes() -> list[Route]:
    """All endpoints, as bootstrap lists them; nothing behind them is needed to look at them."""
    nothing = dict.fromkeys([field.name for field in fields(Backend)], cast("Any", None))
    return all_routes(Backend(**{**nothing, "public_url": "https://otp.example"}))


def test_every_route_asks_for_a_scope_or_is_open_on_purpose() -> None:
    """An endpoint that someone forgot to protect is found here."""
    open_ones = {(route.method, route.template) for route in routes() if route.scope is None}
    assert open_ones == OPEN
    assert {route.scope for route in routes()} - {None} <= set(SCOPES)


def test_routes_are_distinct_and_documented() -> None:
    """One handler for a method and path, with a sentence and only codes that exist."""
    named = [(route.method, route.template) for route in routes()]
    assert len(named) == len(set(named))
    for route in routes():
        assert route.doc.summary
        assert set(route.doc.codes) <= set(STATUS), route.template
        assert inspect.getdoc(route.handler), route.template


def test_metrics_are_ours_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """All begin with otp_, nothing of the process or the platform slips in, no label can hold a number or a code."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)  # of a service that another test ran in this process
    for metric in telemetry.REGISTRY.collect():
        assert metric.name.startswith("otp_")
        assert metric.documentation.endswith(".")
    for line in telemetry.metrics_text().decode().splitlines():
        assert re.match(r"# (HELP|TYPE) otp_|otp_", line), line
    labels = {label for metric in telemetry.REGISTRY.collect() for one in metric.samples for label in one.labels}
    assert not labels & {"to", "number", "code", "verification_id", "key", "client_ip"}


def test_log_fields_hold_no_secret_by_name() -> None:
    """Only fields with a name in the list are written; a code, a key or a box has none."""
    secret = {"digest", "box", "secret", "text", "body", "number", "otp", "key", "context", "metadata", "detail"}
    assert set(telemetry.FIELDS) & secret == set()


# ---- imports ------------------------------------------------------------------------------------------------------


def test_the_import_contracts_hold() -> None:
    """The layers of setup.cfg, as import-linter reads them."""
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_builds_nothing() -> None:
    """Every module of the service can be imported without a socket, a process, a thread or a file written."""
    program = """
import sys, threading, pkgutil, importlib
seen = []
watched = ("socket.bind", "socket.connect", "subprocess.Popen", "os.fork", "os.posix_spawn", "os.mkdir", "os.remove")
def hook(event, args):
    if event in watched or event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen.append((event, str(args)))
sys.addaudithook(hook)
import otp_service
for module in pkgutil.walk_packages(otp_service.__path__, "otp_service."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        if seen or threading.active_count() != 1:
            sys.exit(f"{module.name}: {seen} {threading.enumerate()}")
"""
    done = subprocess.run([sys.executable, "-B", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_chance_and_time_come_from_outside() -> None:
    """`random` never makes a secret: bootstrap passes it on for jitter only, a simulation repeats itself by its seed.
    The rules have no clock."""
    for path, tree in modules():
        names = {alias.name for node in nodes(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in nodes(tree) if isinstance(node, ast.ImportFrom) and node.level == 0}
        place = path.relative_to(PACKAGE)
        if not {"sandbox", "guard_simulation"} & set(place.parts) and str(place) not in (
            "bootstrap/worker.py",
            "bootstrap/callbacks.py",
        ):
            assert "random" not in names, path
        if {"domain", "usecases"} & set(place.parts):
            assert not names & {"time", "datetime", "secrets", "uuid", "os"}, path


def test_every_module_says_what_it_guarantees() -> None:
    """A module opens with a docstring."""
    for path, tree in modules():
        assert ast.get_docstring(tree) or not tree.body, path


def test_every_test_states_a_promise() -> None:
    """Its docstring is a sentence of its own."""
    for path, tree in modules(ROOT / "tests"):
        for node in nodes(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                assert re.search(r"[.!?)]$", ast.get_docstring(node) or ""), f"{path.name}: {node.name}"


# ---- what is shipped ----------------------------------------------------------------------------------------------


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_every_file_of_the_package_is_shipped() -> None:
    """Each file that is no module matches a line of package_data; so the wheel holds Lua, templates and py.typed."""
    globs = {
        package: [glob.strip() for glob in value.replace("\n", ",").split(",") if glob.strip()]
        for package, value in _setup()["options.package_data"].items()
    }
    shipped = 0
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.relative_to(PACKAGE)
        # What is compiled meanwhile has a name of its own until it is complete.
        unshipped = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if unshipped or path.suffix == ".py" or not path.is_file():
            continue
        package = next(
            ".".join(("otp_service", *parent.parts))
            for parent in inside.parents
            if (PACKAGE / parent / "__init__.py").is_file()
        )
        local = inside.relative_to(Path(*package.split(".")[1:]))
        assert any(fnmatch.fnmatch(str(local), glob) for glob in globs.get(package, ())), path
        shipped += 1
    assert shipped > len(names())
    assert (files("otp_service.storage") / "lua" / "verification" / "cancel.lua").is_file()
    assert (files("otp_service.web") / "templates" / "docs.html").is_file()


def test_every_folder_of_modules_is_a_package() -> None:
    """Without an __init__.py a folder would be left out of the wheel."""
    for folder in {path.parent for path in PACKAGE.rglob("*.py")}:
        assert (folder / "__init__.py").is_file(), folder


def test_nothing_knows_the_machine_it_was_written_on() -> None:
    """No file of the repository names a home directory, a scratch directory or a working tree of somebody."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip(f"{NEEDS} git and a clone")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    # Written apart, so that this file is not found.
    machine = re.compile("|".join(["/" + "work/", "/" + "home/[a-z]+/", "/" + "Users/", "/" + "root/", "/tmp" + "/v/"]))
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if not path.is_file():
            continue
        found = machine.search(path.read_text(encoding="utf-8", errors="replace"))
        assert found is None, f"{name}: {found and found[0]}"
