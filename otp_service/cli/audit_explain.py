"""`otp-service audit explain`: why the service decided as it did, recomputed from the record."""

import argparse
from typing import TYPE_CHECKING, Any

from .arguments import file_path, record_number
from .audit_verify import verifier_key
from .output import note, print_facts, print_json, print_line, print_table
from .parser import UsageError, add_command, json_option
from .settings import load_settings

if TYPE_CHECKING:
    from ..signed_log.explaining import Explained


def register(audit: Any) -> None:
    """Add the command to those of `audit`."""
    explain = add_command(
        audit,
        "explain",
        _explain,
        line="recompute one decision from the record, step by step",
        text="The rules get the earlier records of the number and the configuration that decided. `recomputed` steps "
        "follow from these; `recorded` ones rest on what the record says, because it does not hold what they need. "
        "The exit status is 1 if the outcome differs from the one on record.",
        example="otp-service audit explain 1742",
    )
    explain.add_argument("seq", metavar="SEQ", help="the record's number, or an event's `seq` of the API")
    explain.add_argument(
        "--bundle", metavar="FILE", type=file_path, help="explain from this evidence alone, which is verified first"
    )
    explain.add_argument("--key", metavar="VKEY", type=verifier_key, help="with --bundle: trust this verifier key")
    json_option(explain)


def _explain(args: argparse.Namespace) -> int:
    from ..bootstrap.explaining import explain_decision  # noqa: PLC0415
    from ..signed_log.explaining import NotExplained  # noqa: PLC0415

    if args.key is not None and args.bundle is None:
        raise UsageError("--key says nothing without --bundle")
    try:
        found = explain_decision(load_settings(), args.seq) if args.bundle is None else _from_bundle(args)
    except NotExplained as error:
        raise UsageError(str(error)) from error
    if found is None and args.bundle is not None:
        raise UsageError(f"the evidence has no record {args.seq}")
    if found is None:
        raise UsageError(f"the ledger has no record {args.seq}: what is new comes into it within seconds")
    if args.json:
        print_json(_as_json(found))
    else:
        _show(found)
    return 0 if found.explanation.agrees else 1


def _from_bundle(args: argparse.Namespace) -> "Explained | None":
    from ..bootstrap.explaining import explain_in_bundle  # noqa: PLC0415
    from ..signed_log.archives import read_archive  # noqa: PLC0415
    from ..transparency.bundles import verify_bundle  # noqa: PLC0415
    from ..transparency.notes import NoteError  # noqa: PLC0415

    try:
        seq = record_number(args.seq)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"a record in a bundle is named by its number: {error}") from error
    files = read_archive(args.bundle)
    try:
        report = verify_bundle(files, args.key, may_be_open=True)
    except NoteError as error:
        raise UsageError(f"the evidence is refused: {error}") from error
    if args.key is None:
        note(f"the bundle brings its own key, which proves nothing: compare {report.key.fingerprint} (SHA-256)")
    return explain_in_bundle(files, report, seq)


def _as_json(found: "Explained") -> dict[str, Any]:
    explanation = found.explanation
    steps = [
        {"fact": one.fact, "rule": one.rule, "result": one.result, "basis": one.basis, "holds": one.holds}
        for one in explanation.steps
    ]
    return {
        "seq": found.seq,
        "at": found.at,
        "type": found.type,
        "policy": found.policy,
        "recorded": explanation.recorded,
        "recomputed": explanation.recomputed,
        "agrees": explanation.agrees,
        "steps": steps,
    }


def _show(found: "Explained") -> None:
    explanation = found.explanation
    print_facts(
        [
            ("record", str(found.seq)),
            ("at", found.at),
            ("type", found.type),
            ("configuration", found.policy or "-"),
            ("recorded", explanation.recorded),
            ("recomputed", explanation.recomputed),
        ]
    )
    print_line("")
    rows = [(one.fact, one.rule, one.result, one.basis, "" if one.holds else "DIFFERS") for one in explanation.steps]
    print_table(("fact", "rule", "result", "basis", ""), rows)
    print_line("")
    print_line("the outcome is the same" if explanation.agrees else "the outcome DIFFERS from the one on record")
