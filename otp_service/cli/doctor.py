"""`otp-service doctor`: what is wrong with this deployment, and what to do about it."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..domain.errors import ConfigError
from .output import fail, print_json, print_line
from .parser import add_command, json_option
from .settings import load_settings

if TYPE_CHECKING:
    from ..diagnosis.result import CheckResult


def register(groups: Any) -> None:
    """Add the command to the command line."""
    doctor = add_command(
        groups,
        "doctor",
        _doctor,
        line="check configuration, store, carrier credentials, sender numbers, webhook key and clocks",
        text="One line each; the exit status is 1 if any fails.",
        example="otp-service doctor --json",
    )
    json_option(doctor)


def _results() -> "Iterator[CheckResult]":
    """What the checks found; a configuration that cannot be read is one of them."""
    from ..diagnosis.result import CheckResult  # noqa: PLC0415
    from ..doctor import diagnose  # noqa: PLC0415

    try:
        settings = load_settings()
    except ConfigError as error:
        yield CheckResult("configuration", False, error.detail)
        return
    yield from diagnose(settings)


def _doctor(args: argparse.Namespace) -> int:
    facts = []
    for result in _results():
        facts.append({"name": result.name, "ok": result.ok, "detail": result.detail})
        if not args.json:
            print_line(f"{'ok  ' if result.ok else 'FAIL'}  {result.name}: {result.detail}", flush=True)
    if args.json:
        print_json(facts)
    failed = sum(not fact["ok"] for fact in facts)
    return fail(f"{failed} of {len(facts)} checks failed") if failed else 0
