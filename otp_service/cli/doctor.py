"""`otp-service doctor`: what is wrong with this deployment, and what to do about it."""

import argparse
from typing import Any

from .output import fail, print_json, print_line
from .parser import add_command, json_option
from .settings import load_settings


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


def _doctor(args: argparse.Namespace) -> int:
    from ..doctor import diagnose  # noqa: PLC0415

    facts = []
    for result in diagnose(load_settings()):
        facts.append({"name": result.name, "ok": result.ok, "detail": result.detail})
        if not args.json:
            print_line(f"{'ok  ' if result.ok else 'FAIL'}  {result.name}: {result.detail}", flush=True)
    if args.json:
        print_json(facts)
    failed = sum(not fact["ok"] for fact in facts)
    return fail(f"{failed} of {len(facts)} checks failed") if failed else 0
