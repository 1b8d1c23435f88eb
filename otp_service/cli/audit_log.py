"""`otp-service audit checkpoint`: the newest checkpoint and the log's key from a shell."""

import argparse
from typing import Any

from .audit_verify import followed
from .output import print_json, print_line
from .parser import UsageError, add_command, json_option
from .settings import load_settings


def register(audit: Any) -> None:
    """Add the command to those of `audit`."""
    checkpoint = add_command(
        audit,
        "checkpoint",
        _checkpoint,
        line="show the newest signed checkpoint of the audit log",
        text="Give an auditor the key of the log by another way than this log: `--key` prints it.",
        example="otp-service audit checkpoint --key",
    )
    checkpoint.add_argument("--key", action="store_true", help="print the verifier key that signed first, alone")
    json_option(checkpoint)


def _checkpoint(args: argparse.Namespace) -> None:
    from ..bootstrap.signed_log import own_log  # noqa: PLC0415

    with own_log(load_settings()) as own, followed():
        note, key = own.checkpoint(), str(own.keys().keys[0])
    if args.key:
        print_line(key)
    elif note is None:
        raise UsageError("no checkpoint was signed yet: a worker signs the first one when there are records")
    elif args.json:
        print_json(_described(note, key))
    else:
        print_line(note.rstrip("\n"))


def _described(note: str, key: str) -> dict[str, Any]:
    from ..transparency.checkpoints import read_checkpoint  # noqa: PLC0415
    from ..transparency.cosignatures import cosigned_by  # noqa: PLC0415
    from ..transparency.notes import VerifierKey, b64  # noqa: PLC0415

    checkpoint = read_checkpoint(note)[1]
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": b64(checkpoint.root),
        "key": key,
        "key_fingerprint": VerifierKey.parse(key).fingerprint,
        "unverified_cosignatures": list(cosigned_by(note)[1]),
        "note": note,
    }
