"""The page: sections of operations by their tags, then what they have in common."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader

from .calls import call
from .words import code_spans, limits, pretty

KEY, WATCH_TOKEN = "OTP_API_KEY", "WATCH_TOKEN"
"""The shell's variables in the examples."""


@dataclass(frozen=True)
class Shown:
    """An operation, or a callback: `place` is its path, or its event. `call` is a line for a shell, if there is one."""

    method: str
    place: str
    operation: dict[str, Any]
    call: str | None


def render(document: dict[str, Any], titles: Mapping[str, tuple[int, str]], nonce: str) -> str:
    """The page of an OpenAPI document. `titles` are the problem codes, each with its status and title."""
    shown = [*_operations(document), *_callbacks(document)]
    return (
        _environment()
        .get_template("docs.html")
        .render(
            document=document,
            titles=titles,
            nonce=nonce,
            sections={
                tag["name"]: (tag["description"], [one for one in shown if tag["name"] in one.operation["tags"]])
                for tag in document["tags"]
            },
            scopes=_scopes(document),
            bearer=[one for one in shown if one.operation["operationId"] == "startVerification"],
            watching=[
                one for one in _operations(document, WATCH_TOKEN) if {"watch_token": []} in one.operation["security"]
            ],
        )
    )


def _operations(document: dict[str, Any], token: str = KEY) -> Iterator[Shown]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield Shown(method.upper(), path, operation, call(document, method, path, operation, token))


def _callbacks(document: dict[str, Any]) -> Iterator[Shown]:
    for event, methods in document["webhooks"].items():
        yield from (Shown(method.upper(), event, operation, None) for method, operation in methods.items())


def _scopes(document: dict[str, Any]) -> dict[str, list[str]]:
    """The operations that each scope opens."""
    found: dict[str, list[str]] = {}
    for one in _operations(document):
        for scope in one.operation.get("x-scope", "").split(" or "):
            found.setdefault(scope, []).append(one.operation["operationId"])
    return {scope: found[scope] for scope in sorted(found) if scope}


@cache
def _environment() -> Environment:
    made = Environment(loader=PackageLoader("otp_service.web"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"code_spans": code_spans, "limits": limits, "pretty": pretty}
    return made
