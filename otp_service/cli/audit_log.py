"""`otp-service audit checkpoint` and `audit verify`: the signed log from a shell."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import file_path
from .evidence import verify_bundle_file
from .output import print_json, print_line
from .parser import UsageError, add_command, json_option
from .progress import Progress
from .settings import load_settings

if TYPE_CHECKING:
    from ..signed_log.inspection import Report
    from ..transparency.checkpoints import Checkpoint
    from ..transparency.notes import VerifierKey


def register(audit: Any) -> None:
    """Add the commands to those of `audit`."""
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
    verify = add_command(
        audit,
        "verify",
        _verify,
        line="verify the whole audit log: records, tree, checkpoints, signatures",
        text="Names the first thing that is wrong and what was done to it; then the exit status is 1. The newest "
        "checkpoint in the data directory is one of those that the log has to continue.",
        example="otp-service audit verify --checkpoint kept-last-month",
    )
    verify.add_argument(
        "--key", metavar="VKEY", type=_verifier_key, help="trust this verifier key (default: the keyring's keys)"
    )
    verify.add_argument(
        "--checkpoint",
        metavar="FILE",
        type=file_path,
        action="append",
        default=[],
        help="a checkpoint that was kept elsewhere, which the log has to continue; may be repeated",
    )
    verify.add_argument("--bundle", metavar="FILE", type=file_path, help="verify this evidence instead of the ledger")
    verify.add_argument(
        "--unstated", action="store_true", help="with --bundle: good although the log does not say what was asked"
    )
    verify.add_argument(
        "--open", action="store_true", help="with --bundle: good although the end of a verification is missing"
    )
    verify.add_argument(
        "--carrier-key",
        metavar="KEY",
        type=_carrier_key,
        action="append",
        default=[],
        help="with --bundle: the carrier's public key as its portal shows it; may be repeated",
    )
    json_option(verify)


def _verifier_key(text: str) -> "VerifierKey":
    from ..transparency.notes import NoteError, VerifierKey  # noqa: PLC0415

    try:
        return VerifierKey.parse(text)
    except NoteError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _carrier_key(text: str) -> bytes:
    from ..transparency.bundled_webhooks import carrier_key  # noqa: PLC0415
    from ..transparency.notes import NoteError  # noqa: PLC0415

    try:
        return carrier_key(text)
    except NoteError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


@contextlib.contextmanager
def _followed() -> Iterator[None]:
    """Around what follows the log's keys from one to the next. Raises UsageError where that cannot be done."""
    from ..transparency.notes import NoteError  # noqa: PLC0415

    try:
        yield
    except NoteError as error:
        raise UsageError(f"the keys of the log cannot be followed: {error}") from error


def _checkpoint(args: argparse.Namespace) -> None:
    from ..bootstrap.signed_log import own_log  # noqa: PLC0415

    with own_log(load_settings()) as own, _followed():
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
    from ..transparency.notes import VerifierKey, b64  # noqa: PLC0415

    read, checkpoint = read_checkpoint(note)
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": b64(checkpoint.root),
        "key": key,
        "key_fingerprint": VerifierKey.parse(key).fingerprint,
        "cosigned_by": [line.name for line in read.signatures if line.name != checkpoint.origin],
        "note": note,
    }


def _verify(args: argparse.Namespace) -> int:
    from ..bootstrap.signed_log import kept_checkpoint, own_log  # noqa: PLC0415
    from ..signed_log.kept_checkpoint import KeptCheckpoint  # noqa: PLC0415

    if args.bundle is not None:
        return verify_bundle_file(
            args.bundle,
            args.key,
            args.carrier_key,
            as_json=args.json,
            unstated=args.unstated,
            may_be_open=args.open,
        )
    settings = load_settings()
    older = [_read(path) for path in args.checkpoint]
    with own_log(settings) as own, _followed(), Progress("verifying", "records") as progress:
        kept = KeptCheckpoint(kept_checkpoint(settings)).read()
        same = [kept] if kept is not None and kept.origin == own.origin() else []
        report = own.verify(args.key, [*older, *same], progress.advance)
    if args.json:
        print_json(_as_json(report))
    else:
        print_line(_sentence(report))
    return 1 if report.finding else 0


def _read(path: Path) -> "Checkpoint":
    from ..transparency.checkpoints import read_checkpoint  # noqa: PLC0415
    from ..transparency.notes import NoteError  # noqa: PLC0415

    try:
        return read_checkpoint(path.read_bytes())[1]
    except (OSError, NoteError) as error:
        raise UsageError(f"{path} cannot be read as a checkpoint: {error}") from error


def _as_json(report: "Report") -> dict[str, Any]:
    found = report.finding
    finding = None if found is None else {"kind": found.kind, "seq": found.seq, "detail": found.sentence}
    return {
        "records": report.records,
        "signed": report.signed,
        "checkpoints": report.checkpoints,
        "erased": report.erased,
        "unopened": report.unopened,
        "finding": finding,
    }


def _sentence(report: "Report") -> str:
    if report.finding is not None:
        return f"{report.finding.kind}: {report.finding.sentence}"
    erased = f"; the personal part of {report.erased} was erased, which is fine" if report.erased else ""
    if report.unopened:
        erased += f"; the personal part of {report.unopened} cannot be opened with this keyring"
    waiting = report.records - report.signed
    unsigned = f"; {waiting} are not signed yet" if waiting else ""
    return f"{report.signed} records are as they were signed, under {report.checkpoints} checkpoints{unsigned}{erased}"
