"""Parsers whose mistakes are one sentence, and the way to add a command or a group of commands.

Light on purpose: the command line is parsed before anything heavy is imported.
"""

import argparse
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

from ..domain.errors import ServiceError

PROGRAM = "otp-service"

Command = Callable[[argparse.Namespace], int | None]


class UsageError(ServiceError):
    """The command as typed cannot be done. The detail has what to type instead."""

    code = "usage_error"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence instead of repeating the usage."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def add_command(groups: Any, name: str, run: Command, *, line: str, text: str = "", example: str) -> Parser:
    """Add a command: `line` is its line in the list, `text` what its own --help adds, `example` lines to paste."""
    parser: Parser = groups.add_parser(
        name,
        help=line,
        description=textwrap.fill(f"{line[0].upper()}{line[1:]}. {text}".strip(), 80),
        epilog=_examples(example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_group(groups: Any, name: str, *, line: str, example: str) -> Any:
    """Add a command that has commands of its own; returns what those are added to."""
    parser: Parser = groups.add_parser(
        name,
        help=line,
        description=textwrap.fill(f"{line[0].upper()}{line[1:]}.", 80),
        epilog=_examples(example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser.add_subparsers(metavar="COMMAND", required=True, title="commands")


def _examples(lines: str) -> str:
    return f"example:\n{textwrap.indent(lines, '  ')}"


def json_option(parser: Parser, what: str = "print JSON for programs") -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help=what)
