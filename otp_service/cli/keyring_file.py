"""What the commands of `otp-service keyring` have in common: naming the file, reading and replacing it."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .arguments import file_path
from .parser import Parser, UsageError


def path_argument(parser: Parser) -> None:
    """Add the file's path, which OTP_KEYRING names otherwise."""
    parser.add_argument("path", metavar="PATH", type=file_path, nargs="?", help="default: what OTP_KEYRING names")


@contextmanager
def readable(args: argparse.Namespace, verb: str) -> Iterator[None]:
    """Find the file, and turn what is wrong with it into one sentence that names it."""
    from ..keyring import KeyringError  # noqa: PLC0415

    args.path = args.path or _configured()
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot {verb} {args.path}: {error.strerror}") from error
    except KeyringError as error:
        raise UsageError(f"{args.path}: {error}") from error


def _configured() -> Path:
    from .. import config  # noqa: PLC0415

    named = config.environment().get("OTP_KEYRING")
    if not named:
        raise UsageError("name the keyring file, or set OTP_KEYRING")
    return Path(named)


def replace(path: Path, raw: bytes) -> None:
    """Put these bytes in place of the file, whole or not at all."""
    from ..files import write_private  # noqa: PLC0415

    owner = path.stat()
    write_private(path, raw)
    if os.geteuid() == 0:
        # Root may change the file of the service's user, who must still be able to read it.
        os.chown(path, owner.st_uid, owner.st_gid)
