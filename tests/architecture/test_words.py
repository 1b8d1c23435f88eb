"""Words that stand in two places are the same word in both: ranks, log fields, codes and what the API documents."""

import ast
import dataclasses
import functools
import logging
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, cast

import pytest

from otp_service import telemetry
from otp_service.domain.delivery import RANK
from otp_service.domain.errors import ServiceError
from otp_service.domain.verification import Status
from otp_service.storage.script_files import load, names
from otp_service.web.openapi.document import describe
from otp_service.web.problems import STATUS
from otp_service.web.routes.all_routes import LOOP_ROUTES, Backend, all_routes

from .source import PACKAGE, modules, nodes

Function = ast.FunctionDef | ast.AsyncFunctionDef


def service() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the service itself."""
    for path, tree in modules():
        place = path.relative_to(PACKAGE)
        if "sandbox" not in place.parts:
            yield str(place), tree


# ---- Lua and Python ---------------------------------------------------------------------------------------------


def test_lua_and_python_rank_deliveries_alike() -> None:
    """The move is made in Lua and explained in Python: one table, written twice, entry by entry the same."""
    text = (files("otp_service.storage") / "lua" / "_delivery.lua").read_text(encoding="utf-8")
    table = re.search(r"local RANK = \{(.*?)\}", text, re.DOTALL)
    assert table is not None
    assert {name: int(rank) for name, rank in re.findall(r"(\w+) = (\d+)", table[1])} == {
        str(status): rank for status, rank in RANK.items()
    }


@pytest.mark.parametrize("name", names())
def test_an_assembled_script_is_whole(name: str) -> None:
    """Includes come after the first line or in a function, each of a fragment that exists and once; none is left."""
    folder = PACKAGE / "storage" / "lua"
    path = folder / f"{name}.lua"
    lines = path.read_text(encoding="utf-8").splitlines()
    said = [line for line in lines if re.match(r"--\s*include", line)]
    first = next((at for at, line in enumerate(lines[1:]) if line not in said), 0)
    assert first or not said
    assert lines[1 : 1 + first] == said[:first]
    assert len(set(said)) == len(said)
    for line in said:
        fragment = line.removeprefix("-- include: ")
        assert (folder / fragment).is_file(), line
        assert (folder / fragment).read_text(encoding="utf-8").endswith("\n")
    assert "-- include" not in load(name).text
    assert load(name).text.startswith("#!lua\n")


def test_an_ending_that_lua_writes_is_one_that_python_knows() -> None:
    """`end_verification(…, 'verification.expired', …)` and its like use the words of the states, none invents one."""
    written = {
        word
        for name in names()
        for call in re.findall(r"(?:end_verification|write_ending)\(([^\n]*)", load(name).text)
        for word in re.findall(r"'(?:verification\.)?([a-z]+)'", call)
    }
    assert written
    assert written <= {str(status) for status in Status}


# ---- what is logged ---------------------------------------------------------------------------------------------


def named(scope: ast.AST, name: str) -> Iterator[ast.expr]:
    """What a variable of this function is given."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets):
            yield node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            assert node.value is not None
            yield node.value


def fields(value: ast.expr, scope: ast.AST, module: ast.Module) -> set[str]:
    """The keys that a dictionary can have, followed through variables, unions and functions of the same module."""
    if isinstance(value, ast.Dict):
        found: set[str] = set()
        for key, inner in zip(value.keys, value.values, strict=True):
            if key is None:
                found |= fields(inner, scope, module)
            else:
                assert isinstance(key, ast.Constant), f"a field that is computed: {ast.unparse(value)}"
                found.add(str(key.value))
        return found
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
        return fields(value.left, scope, module) | fields(value.right, scope, module)
    if isinstance(value, ast.Name):
        given = list(named(scope, value.id))
        assert given, f"where does {value.id} come from?"
        added = {
            str(node.slice.value)
            for node in ast.walk(scope)
            if isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == value.id
            and isinstance(node.slice, ast.Constant)
        }
        return added.union(*(fields(one, scope, module) for one in given))
    assert isinstance(value, ast.Call), f"not understood: {ast.unparse(value)}"
    called = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
    functions = [node for node in nodes(module) if isinstance(node, Function) and node.name == called]
    assert functions, f"not understood: {ast.unparse(value)}"
    returned = [
        node.value for one in functions for node in ast.walk(one) if isinstance(node, ast.Return) and node.value
    ]
    return set().union(*(fields(one, functions[0], module) for one in returned))


def logged() -> Iterator[tuple[str, ast.Call, set[str]]]:
    """Every call that writes a log line with `extra`, and the fields that it can write."""
    for path, module in service():
        for scope in nodes(module):
            if not isinstance(scope, Function):
                continue
            for node in nodes(scope):
                if isinstance(node, ast.Call) and any(keyword.arg == "extra" for keyword in node.keywords):
                    (extra,) = [keyword.value for keyword in node.keywords if keyword.arg == "extra"]
                    yield path, node, fields(extra, scope, module)


def test_every_field_that_is_logged_has_its_name_in_the_list() -> None:
    """A field that is not in `telemetry.FIELDS` would silently not be written; here it is an error."""
    calls = list(logged())
    assert len(calls) > 20
    for path, call, logged_fields in calls:
        assert logged_fields <= set(telemetry.FIELDS), f"{path}:{call.lineno}: {logged_fields - set(telemetry.FIELDS)}"


def test_no_field_takes_the_place_of_one_of_the_logging_module() -> None:
    """`extra` with a name like `name` or `msg` raises instead of logging."""
    own = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
    assert not own & set(telemetry.FIELDS)


def test_a_log_line_holds_no_text_that_was_put_together() -> None:
    """The words of a line are constant: what varies stands in fields, where the list decides."""
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    for path, module in service():
        for node in nodes(module):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if ast.unparse(node.func.value) != "_log":
                continue
            words = node.args[1] if node.func.attr == "log" else node.args[0]
            assert node.func.attr in levels | {"log"}
            assert isinstance(words, ast.Constant), f"{path}:{node.lineno}: {ast.unparse(words)}"
            assert "%" not in str(words.value)


# ---- codes of problems ------------------------------------------------------------------------------------------

NOT_TOLD = {
    *("config_error", "usage_error", "cannot_serve", "port_taken", "directory_taken", "child_failed"),
    *("carrier_unavailable", "carrier_error", "api_error"),
}
"""Codes of exceptions for operators: at a command they are a sentence, over HTTP an internal error without one."""

EDGE = {"method_not_allowed", "method_unknown"}
"""Codes of requests that reach no route, so that no route's description has them."""


def exceptions() -> dict[str, str]:
    """Every class of errors of ours, wherever it is defined, with its code: its own or its parent's."""
    classes = [node for _, module in service() for node in nodes(module) if isinstance(node, ast.ClassDef)]
    found = {"ServiceError": ServiceError.code}
    before = 0
    while len(found) > before:
        before = len(found)
        for one in classes:
            parents = [base.id for base in one.bases if isinstance(base, ast.Name) and base.id in found]
            if parents and one.name not in found:
                own = [
                    value
                    for value in one.body
                    if isinstance(value, ast.Assign) and ast.unparse(value.targets[0]) == "code"
                ]
                found[one.name] = ast.literal_eval(own[0].value) if own else found[parents[0]]
    return found


def test_every_exceptions_code_has_a_status_or_is_not_shown() -> None:
    """An exception of ours is either a row of the table or on the short list of what only operators see."""
    codes = exceptions()
    assert codes["SealBroken"] == "internal_error"
    assert codes["PayloadTooLarge"] == "payload_too_large"
    assert set(codes.values()) - set(STATUS) == NOT_TOLD


def codes_in_refusals() -> Iterator[tuple[str, str]]:
    """(file, code) of every `Refusal(…)` and `problems.of(…)` with a literal code."""
    for path, module in service():
        for node in nodes(module):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in {"Refusal", "of", "hidden"} and isinstance(node.args[0].value, str):
                    yield path, node.args[0].value


def test_every_refusal_has_a_status() -> None:
    """A word without a row would end in an internal error instead of an answer."""
    found = list(codes_in_refusals())
    assert len({code for _, code in found}) > 15
    for path, code in found:
        assert code in STATUS, f"{path}: {code}"


@functools.cache
def document() -> dict[str, Any]:
    """The OpenAPI document of all routes; nothing behind them is needed to describe them."""
    nothing = dict.fromkeys([field.name for field in dataclasses.fields(Backend)], cast("Any", None))
    routes = all_routes(Backend(**{**nothing, "public_url": "https://otp.example"}))
    return describe(routes, "https://otp.example")


def whole(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer itself, or that of all operations that it refers to."""
    if "$ref" not in answer:
        return answer
    found: dict[str, Any] = document()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return found


def test_every_code_is_documented_in_the_api() -> None:
    """Each row of the table stands in the description of an operation, but for what reaches none."""
    documented = {
        code
        for operations in document()["paths"].values()
        for operation in operations.values()
        for answer in map(whole, operation["responses"].values())
        for code in re.findall(r"`([a-z_]+)`", answer["description"])
    }
    assert documented == set(STATUS) - EDGE


def test_no_answer_names_a_code_twice() -> None:
    """A reader would look for the difference."""
    for template, operations in document()["paths"].items():
        for operation in operations.values():
            for answer in map(whole, operation["responses"].values()):
                named = re.findall(r"`([a-z_]+)`", answer["description"])
                assert len(named) == len(set(named)), template


def test_what_waits_for_a_thread_may_find_none() -> None:
    """Each operation that the event loop does not answer itself can be 503 `not_ready`."""
    for template, operations in document()["paths"].items():
        for method, operation in operations.items():
            if (method.upper(), template) not in LOOP_ROUTES:
                assert "`not_ready`" in operation["responses"]["503"]["description"], template


def test_every_code_stands_under_its_own_status() -> None:
    """In every operation; only the conflict of an Idempotency-Key has two."""
    for template, operations in document()["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                for code in re.findall(r"`([a-z_]+)`", whole(answer)["description"]):
                    right = {STATUS[code][0]} | ({422} if code == "idempotency_conflict" else set())
                    assert int(status) in right, f"{template}: {code}"
