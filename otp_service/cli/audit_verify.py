"""`otp-service audit verify`: the ledger of this machine, a running log, a copy of its tiles, or evidence."""

import argparse
import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .arguments import file_path, record_number, web_address
from .evidence import kept_note, verify_bundle_file
from .output import note, print_bytes, print_json, print_line
from .parser import UsageError, add_command, json_option
from .progress import Progress
from .settings import load_settings

if TYPE_CHECKING:
    from ..signed_log.inspection import Report
    from ..transparency.checkpoints import Checkpoint
    from ..transparency.findings import Finding
    from ..transparency.notes import VerifierKey
    from ..transparency.published import Published, PublishedReport

KEY_VARIABLE = "OTP_API_KEY"


def register(audit: Any) -> None:
    """Add the command to those of `audit`."""
    verify = add_command(
        audit,
        "verify",
        _verify,
        line="verify the audit log: records, tree, checkpoints, signatures",
        text="Names the first thing that is wrong and what was done to it; then the exit status is 1. The newest "
        "checkpoint in the data directory is one of those that the ledger has to continue. With --log the API key "
        f"(scope audit:all) is read from {KEY_VARIABLE}.",
        example="otp-service audit verify --checkpoint kept-last-month",
    )
    what = verify.add_mutually_exclusive_group()
    what.add_argument("--log", metavar="URL", type=web_address, help="verify the log that this service publishes")
    what.add_argument("--tiles", metavar="DIR", type=file_path, help="verify this copy of a log: checkpoint and tile/…")
    what.add_argument("--bundle", metavar="FILE", type=file_path, help="verify this evidence")
    what.add_argument("--script", action="store_true", help="print the script that verifies evidence by itself")
    verify.add_argument(
        "--key", metavar="VKEY", type=verifier_key, help="trust this verifier key (default: the keyring's keys)"
    )
    verify.add_argument(
        "--checkpoint",
        metavar="FILE",
        type=file_path,
        action="append",
        default=[],
        help="a checkpoint that was kept elsewhere, which the log has to continue; may be repeated",
    )
    verify.add_argument("--from-seq", metavar="N", type=record_number, help="only the records from this number on")
    verify.add_argument("--to-seq", metavar="N", type=record_number, help="only the records up to this number")
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
    verify.add_argument(
        "--witness",
        metavar="VKEY",
        type=_witness_key,
        action="append",
        default=[],
        help="with --bundle, --log or --tiles: the key of a witness, which has to have cosigned; may be repeated",
    )
    verify.add_argument(
        "--tsa-ca", metavar="FILE", type=file_path, help="with --bundle: whose timestamps count (certificates, PEM)"
    )
    verify.add_argument(
        "--unopened",
        action="store_true",
        help="good although this keyring has not every key that personal parts were sealed with",
    )
    json_option(verify)


def verifier_key(text: str) -> "VerifierKey":
    """An argument that is a log's key."""
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


def _witness_key(text: str) -> "VerifierKey":
    from ..transparency.cosignatures import witness_key  # noqa: PLC0415
    from ..transparency.notes import NoteError  # noqa: PLC0415

    try:
        return witness_key(text)
    except NoteError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


@contextlib.contextmanager
def followed() -> Iterator[None]:
    """Around what follows the log's keys from one to the next. Raises UsageError where that cannot be done."""
    from ..transparency.notes import NoteError  # noqa: PLC0415
    from ..transparency.published import NothingToVerify  # noqa: PLC0415

    try:
        yield
    except NothingToVerify as error:
        raise UsageError(str(error)) from error
    except NoteError as error:
        raise UsageError(f"the keys of the log cannot be followed: {error}") from error


def _verify(args: argparse.Namespace) -> int:
    from ..signed_log.archives import own_script  # noqa: PLC0415
    from ..transparency.checkpoints import read_checkpoint  # noqa: PLC0415

    _require_fitting(args)
    if args.script:
        print_bytes(own_script())
        return 0
    older = [read_checkpoint(kept_note(path))[1] for path in args.checkpoint]
    if args.bundle is not None:
        if len(older) > 1:
            raise UsageError("--bundle: a bundle continues one --checkpoint that was kept")
        return verify_bundle_file(
            args.bundle,
            args.key,
            args.carrier_key,
            witnesses=args.witness,
            as_json=args.json,
            unstated=args.unstated,
            may_be_open=args.open,
            authorities=args.tsa_ca,
            kept=older[0] if older else None,
        )
    span = (args.from_seq or 1, args.to_seq)
    if args.log is not None or args.tiles is not None:
        return _verify_published(args, span, older)
    if args.witness:
        raise UsageError("--witness goes with --bundle, --log or --tiles")
    return _verify_ledger(args, span, older)


_OF_A_BUNDLE = ("carrier_key", "tsa_ca", "unstated", "open")
_OF_A_LOG = ("from_seq", "to_seq")


def _require_fitting(args: argparse.Namespace) -> None:
    """What is given for one form says nothing in another, and whoever gave it would take it for judged."""
    is_ledger = args.log is None and args.tiles is None and args.bundle is None
    unfit = _OF_A_LOG if args.bundle is not None else _OF_A_BUNDLE
    given = [name for name in unfit if getattr(args, name)] + (["unopened"] if args.unopened and not is_ledger else [])
    if given:
        where = "with --bundle" if args.bundle is not None else "without --bundle"
        where = where if given[0] != "unopened" else "with --log, --tiles or --bundle"
        raise UsageError(f"--{given[0].replace('_', '-')} says nothing {where}")


def _verify_published(args: argparse.Namespace, span: tuple[int, int | None], older: "list[Checkpoint]") -> int:
    from ..transparency.published import verify_published  # noqa: PLC0415

    with _published(args) as log, followed(), Progress("verifying", "records") as progress:
        report = verify_published(log, args.key, span, older, progress.advance, witnesses=args.witness)
    if args.json:
        print_json(_published_as_json(report))
    else:
        print_line(_published_sentence(report))
    if args.key is None:
        key = report.key
        note(f"the log says its own key, which proves nothing: compare {key} (SHA-256 {key.fingerprint})")
    return 1 if report.finding else 0


@contextlib.contextmanager
def _published(args: argparse.Namespace) -> "Iterator[Published]":
    from ..witness.mirror import MirroredLog  # noqa: PLC0415
    from ..witness.remote_log import RemoteLog  # noqa: PLC0415

    if args.tiles is not None:
        yield MirroredLog(args.tiles)
        return
    log = RemoteLog(args.log, os.environ.get(KEY_VARIABLE, ""))
    try:
        yield log
    finally:
        log.close()


def _verify_ledger(args: argparse.Namespace, span: tuple[int, int | None], older: "list[Checkpoint]") -> int:
    from ..bootstrap.signed_log import kept_checkpoint, own_log  # noqa: PLC0415
    from ..signed_log.kept_checkpoint import KeptCheckpoint  # noqa: PLC0415
    from ..transparency.findings import other_log  # noqa: PLC0415

    settings = load_settings()
    whole = args.from_seq is None and args.to_seq is None
    with own_log(settings) as own, followed(), Progress("verifying", "records") as progress:
        for one in older:
            if one.origin != own.origin():
                raise UsageError(f"a checkpoint is of another log: {one.origin}; this one is {own.origin()}")
        kept = KeptCheckpoint(kept_checkpoint(settings)).read()
        same = [kept] if kept is not None and kept.origin == own.origin() else []
        report = own.verify(args.key, [*older, *same], progress.advance, None if whole else span)
        if kept is not None and not same:
            if own.has_ended(kept.origin):
                note(f"the data directory keeps a checkpoint of {kept.origin}, which has ended: it was not compared")
            else:
                report = replace(report, finding=report.finding or other_log(kept.origin, own.origin()))
    if args.json:
        print_json(_as_json(report))
    else:
        print_line(_sentence(report))
    return 1 if report.finding or (report.unopened and not args.unopened) else 0


def _finding_as_json(found: "Finding | None") -> dict[str, Any] | None:
    return None if found is None else {"kind": found.kind, "seq": found.seq, "detail": found.sentence}


def _published_as_json(report: "PublishedReport") -> dict[str, Any]:
    return {
        "first": report.first,
        "last": report.last,
        "signed": report.size,
        "key": str(report.key),
        "key_fingerprint": report.key.fingerprint,
        "cosigned_by": list(report.cosigned_by),
        "finding": _finding_as_json(report.finding),
    }


def _published_sentence(report: "PublishedReport") -> str:
    if report.finding is not None:
        return f"{report.finding.kind}: {report.finding.sentence}"
    return (
        f"the records {report.first} to {report.last} are as they were signed, under a checkpoint of {report.size} "
        f"by {report.key.name}" + (f"; cosigned by {', '.join(report.cosigned_by)}" if report.cosigned_by else "")
    )


def _as_json(report: "Report") -> dict[str, Any]:
    from ..signed_log.unproven import UNPROVEN  # noqa: PLC0415

    return {
        "records": report.records,
        "signed": report.signed,
        "checkpoints": report.checkpoints,
        "erased": report.erased,
        "unopened": report.unopened,
        "finding": _finding_as_json(report.finding),
        "not_proven": dict(UNPROVEN),
    }


def _sentence(report: "Report") -> str:
    if report.finding is not None:
        return f"{report.finding.kind}: {report.finding.sentence}"
    erased = f"; the personal part of {report.erased} was erased, which is fine" if report.erased else ""
    if report.unopened:
        erased += f"; the personal part of {report.unopened} cannot be opened with this keyring (--unopened)"
    if report.span is not None:
        first, last = report.span
        return f"the records {first} to {last} are as they were signed, under a checkpoint of {report.signed}{erased}"
    waiting = report.records - report.signed
    unsigned = f"; {waiting} are not signed yet" if waiting else ""
    return f"{report.signed} records are as they were signed, under {report.checkpoints} checkpoints{unsigned}{erased}"
