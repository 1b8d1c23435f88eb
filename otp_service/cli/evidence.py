"""`otp-service audit evidence`: what somebody who trusts nobody can verify."""

import argparse
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .acts import known_settings
from .arguments import e164, file_path, moment
from .output import note, print_json, print_line
from .parser import UsageError, add_command, json_option
from .progress import Progress

if TYPE_CHECKING:
    from ..bootstrap.evidence import Evidence
    from ..signed_log.evidence import Question
    from ..signed_log.own_log import OwnLog
    from ..transparency.bundles import BundleReport
    from ..transparency.checkpoints import Checkpoint
    from ..transparency.notes import VerifierKey

SHOWN = 20
"""So many verifications are named in words."""


def register(audit: Any) -> None:
    """Add the command to those of `audit`."""
    evidence = add_command(
        audit,
        "evidence",
        _evidence,
        line="pack the records that answer a question, with proofs that anybody can verify",
        text="Writes a zip file, and a tar file beside it. What identifies people is left out unless --disclose is "
        "given. The question goes on record, so that the log itself says which records belong to the answer.",
        example="otp-service audit evidence --verification vrf_… --out evidence.zip",
    )
    what = evidence.add_mutually_exclusive_group(required=True)
    what.add_argument("--verification", metavar="ID", help="one verification")
    what.add_argument("--number", metavar="NUMBER", type=e164, help="everything about a telephone number")
    what.add_argument("--from", dest="since", metavar="TIME", type=moment, help="everything from this time on")
    evidence.add_argument("--to", dest="until", metavar="TIME", type=moment, help="with --from: before this time")
    evidence.add_argument(
        "--disclose", action="store_true", help="show masks, countries, keyed hashes and addresses of end users"
    )
    evidence.add_argument(
        "--webhooks",
        action="store_true",
        help="with --disclose: add what the carrier signed, which has whole numbers, replies and the text of messages",
    )
    evidence.add_argument(
        "--without-configurations",
        action="store_true",
        help="leave out the configurations that decided, which name all apps, senders and limits",
    )
    evidence.add_argument(
        "--checkpoint", metavar="FILE", type=file_path, help="show that the log continues this one, which was kept"
    )
    evidence.add_argument("--out", metavar="FILE", type=file_path, required=True, help="the zip file to write")
    evidence.add_argument(
        "--unstated", action="store_true", help="write it although the log does not say which records belong to it"
    )
    json_option(evidence)


def _evidence(args: argparse.Namespace) -> None:
    from ..bootstrap.evidence import Evidence  # noqa: PLC0415
    from ..bootstrap.signed_log import own_log  # noqa: PLC0415
    from ..signed_log.archives import write_archives  # noqa: PLC0415

    if args.out.suffix != ".zip":
        raise UsageError("--out: a name that ends in .zip")
    if (args.since is None) != (args.until is None):
        raise UsageError("--from and --to belong together")
    if args.webhooks and not args.disclose:
        raise UsageError("--webhooks shows whole numbers: it needs --disclose")
    settings = known_settings()
    kept = "" if args.checkpoint is None else kept_note(args.checkpoint)
    with own_log(settings) as own, Progress("packing", "records") as progress:
        evidence = Evidence(settings, own)
        shown = {"disclose": args.disclose, "webhooks": args.webhooks}
        shown["configurations"] = not args.without_configurations
        files, fault = evidence.make(_question(args, evidence), progress.advance, **shown, kept=kept)
        report = _verified(files, own)
    if fault is not None:
        said = f"the log does not say which records belong to the answer: {fault}"
        if not args.unstated:
            raise UsageError(f"{said}; nothing was written (see --unstated)")
        note(said)
    written = write_archives(args.out, files)
    _show(args, report, written)


def kept_note(path: Path) -> str:
    """A checkpoint that was kept in a file. Raises UsageError."""
    from ..transparency.checkpoints import read_checkpoint  # noqa: PLC0415
    from ..transparency.notes import NoteError  # noqa: PLC0415

    try:
        return str(read_checkpoint(path.read_bytes())[0])
    except (OSError, NoteError) as error:
        raise UsageError(f"{path} cannot be read as a checkpoint: {error}") from error


def _verified(files: Mapping[str, bytes], own: "OwnLog") -> "BundleReport":
    """What was packed is verified before it is given away: a ledger that was changed shows here."""
    from ..transparency.bundles import verify_bundle  # noqa: PLC0415
    from ..transparency.notes import NoteError  # noqa: PLC0415

    try:
        return verify_bundle(files, own.keys().keys[0], may_be_open=True)
    except NoteError as error:
        raise UsageError(f"the ledger does not prove this: {error}; see: otp-service audit verify") from error


def _question(args: argparse.Namespace, evidence: "Evidence") -> "Question":
    from ..domain.ids import VERIFICATION_PREFIX, is_verification_id  # noqa: PLC0415
    from ..signed_log.evidence import Question  # noqa: PLC0415

    if args.verification is not None:
        if not is_verification_id(args.verification):
            raise UsageError(f"{args.verification!r} is no id of a verification")
        return Question(verification=args.verification.removeprefix(VERIFICATION_PREFIX))
    if args.number is not None:
        return evidence.about_number(args.number)
    return Question(since_ms=int(args.since.timestamp() * 1000), until_ms=int(args.until.timestamp() * 1000))


def _show(args: argparse.Namespace, report: "BundleReport", written: tuple[Path, Path]) -> None:
    if args.json:
        print_json(described(report) | {"files": [str(path) for path in written]})
    else:
        print_line(f"{sentence(report)}; written to {written[0]} and {written[1]}")


def described(report: "BundleReport") -> dict[str, Any]:
    """A report of a bundle as JSON."""
    return {
        "records": report.records,
        "size": report.size,
        "disclosed": report.disclosed,
        "stated": report.stated,
        "question": report.question,
        "key": str(report.key),
        "key_fingerprint": report.key.fingerprint,
        "cosigned_by": list(report.cosigned_by),
        "unverified_cosignatures": list(report.unverified),
        "asked_at": report.asked and report.asked[0],
        "asked_seq": report.asked and report.asked[1],
        "unended": list(report.unended),
        "webhooks": len(report.carrier_keys),
        "without_webhook": list(report.without_webhook),
        "carrier_keys": carriers(report),
        "stamped": report.stamped,
        "continues": report.continues,
        "complete": report.claim,
        "searched": report.searched,
        "last_events": {one: {"n": n, "seq": seq} for one, (n, seq) in report.last_events.items()},
        "configurations": list(report.policies),
        "without_configuration": list(report.without_policy),
    }


def carriers(report: "BundleReport") -> list[str]:
    """The carrier's keys by which webhooks were verified, as the carrier shows them."""
    from ..transparency.notes import b64  # noqa: PLC0415

    return sorted({b64(key) for key in report.carrier_keys})


def sentence(report: "BundleReport") -> str:
    """A report of a bundle in words."""
    stated = "the log does not say what was asked, nor whether one is missing"
    if report.asked is not None:
        at, seq = report.asked
        stated = f"the question was: {report.question}; asked: {at}, record {seq}"
    stated += f"; complete: {report.claim}"
    stated += f"; without the end of {', '.join(report.unended)}" if report.unended else ""
    webhooks = len(report.carrier_keys)
    named = f"{webhooks} of {webhooks + len(report.without_webhook)} that the records name"
    signed = f"; webhooks: {named}, as the carrier signed them" if webhooks or report.without_webhook else ""
    signed += f"; the log continues the checkpoint of {report.continues} records" if report.continues else ""
    signed += f"; cosigned by {', '.join(report.cosigned_by)}" if report.cosigned_by else ""
    return f"{report.records} records are proved under a checkpoint of {report.size}; {stated}{signed}"


def verify_bundle_file(
    path: Path,
    key: "VerifierKey | None",
    carrier_keys: Sequence[bytes] = (),
    *,
    witnesses: "Sequence[VerifierKey]" = (),
    as_json: bool,
    unstated: bool,
    may_be_open: bool = False,
    authorities: Path | None = None,
    kept: "Checkpoint | None" = None,
) -> int:
    """Verify a bundle and print what was found; the exit status.

    `witnesses`: keys of those who have to have cosigned. `unstated`: it is good without a statement; `may_be_open`: and
    without the end of a verification. `authorities`: certificates of those whose timestamps count. `kept`: see
    `verify_bundle`.
    """
    from ..signed_log.archives import read_archive  # noqa: PLC0415
    from ..transparency.bundles import verify_bundle  # noqa: PLC0415
    from ..transparency.notes import NoteError  # noqa: PLC0415

    files = read_archive(path)
    try:
        report = verify_bundle(files, key, carrier_keys, witnesses=witnesses, kept=kept, may_be_open=may_be_open)
        stamped_at = _stamped_at(files, authorities)
    except NoteError as error:
        if as_json:
            print_json({"refused": str(error)})
        else:
            print_line(f"refused: {error}")
        return 1
    if as_json:
        print_json(described(report) | {"stamped_at": stamped_at, "own_script": _has_own_script(files)})
    else:
        print_line(sentence(report))
        if stamped_at is not None:
            print_line(f"the first {report.stamped} records were there on {stamped_at}, as the timestamp says")
        _note_last_events(report)
    _note_what_is_open(report, files)
    if report.stamped is not None and stamped_at is None:
        note(f"there is a timestamp of the first {report.stamped} records: verify it with --tsa-ca FILE")
    if key is None:
        note(f"the bundle brings its own key, which proves nothing: compare {report.key.fingerprint} (SHA-256)")
    if not carrier_keys:
        for brought in carriers(report):
            note(f"the bundle brings the carrier's key: compare it with the one in the carrier's portal: {brought}")
    return 0 if report.stated or unstated else 1


def _has_own_script(files: Mapping[str, bytes]) -> bool:
    from ..signed_log.archives import own_script  # noqa: PLC0415
    from ..transparency.bundles import SCRIPT  # noqa: PLC0415

    return files.get(SCRIPT) == own_script()


def _note_last_events(report: "BundleReport") -> None:
    """Where each verification ends in the bundle, if the log does not say what belongs there."""
    if report.stated:
        return
    for verification, (n, seq) in islice(report.last_events.items(), SHOWN):
        note(f"the last event of {verification} here is event {n}, record {seq}: later ones may have been left out")
    if len(report.last_events) > SHOWN:
        note(f"the same goes for {len(report.last_events) - SHOWN} other verifications (see --json)")


def _note_what_is_open(report: "BundleReport", files: Mapping[str, bytes]) -> None:
    """What nobody verified, and what is not there."""
    if report.unverified:
        names = "".join(one for one in ", ".join(report.unverified) if one.isprintable())
        note(f"cosignatures: unverified names: {names} (verify with --witness VKEY)")
    if report.without_policy:
        note(f"configurations that the records name are not there: {', '.join(report.without_policy)}")
    if report.without_webhook:
        note(f"the webhooks of these records are not there: {', '.join(map(str, report.without_webhook))}")
    if not _has_own_script(files):
        note("the bundle has another verify.sh than this program: take that of `otp-service audit verify --script`")


def _stamped_at(files: Mapping[str, bytes], authorities: Path | None) -> str | None:
    """The time of the bundle's timestamp; None if nobody is trusted with it. Raises NoteError where it is not good."""
    from ..signed_log.openssl_ts import verify_timestamp  # noqa: PLC0415
    from ..transparency.bundled_older import RESPONSE, STAMPED  # noqa: PLC0415
    from ..transparency.notes import NoteError  # noqa: PLC0415

    if authorities is None:
        return None
    if STAMPED not in files:
        raise NoteError("there is no timestamp in the bundle")
    fault, at = verify_timestamp(files[STAMPED], files[RESPONSE], authorities)
    if fault is not None:
        raise NoteError(f"the timestamp is not good: {fault}")
    return at
