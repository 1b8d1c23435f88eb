"""The command line: its root, and what every command has in common when it ends.

Guaranteed here: exit status 0 only on success; every error is a plain sentence on stderr, never a traceback for what a
person can put right; `--json` wherever data is printed; `--help` with an example everywhere. Help is quick because
nothing heavy is imported before a command runs.

Each group of commands is a module with a function `register` that adds its parsers.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from .. import __version__
from ..domain.errors import ServiceError
from ..runtime import core_dumps
from . import (
    audit,
    callbacks,
    doctor,
    factors,
    guard,
    keyring,
    keys,
    ledger,
    messages,
    numbers,
    optouts,
    outbox,
    processes,
    replicas,
    sandbox,
    support,
    verify,
    witness,
)
from .output import fail
from .parser import PROGRAM, Parser

GROUPS = (
    processes,
    sandbox,
    verify,
    factors,
    keys,
    keyring,
    callbacks,
    outbox,
    messages,
    optouts,
    numbers,
    support,
    guard,
    replicas,
    doctor,
    audit,
    ledger,
    witness,
)
"""The modules of commands, in the order of `--help`."""


@cache
def build_parser() -> Parser:
    """The whole command line. Made once: it keeps nothing of what it has parsed."""
    parser = Parser(
        prog=PROGRAM,
        description="Self-hosted two-factor authentication: one-time codes over Telnyx, followed until delivered.",
        epilog="Begin with: otp-service dev",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    groups = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for group in GROUPS:
        group.register(groups)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 not understood, 130 Ctrl-C."""
    parser = build_parser()
    words = sys.argv[1:] if arguments is None else arguments
    for number, word in enumerate(words, 1):
        if word != word.encode(errors="ignore").decode():
            return fail(f"argument {number} is not valid UTF-8")
    args = parser.parse_args(words)
    try:
        Path.cwd()
    except OSError as error:
        return fail(f"the current directory cannot be used: {error.strerror}")
    return _run(args)


def _run(args: argparse.Namespace) -> int:
    core_dumps.forbid()
    try:
        status: int | None = args.run(args)
        sys.stdout.flush()
    except ServiceError as error:
        return fail(error.detail)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has closed the pipe. Python would report that again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status or 0
