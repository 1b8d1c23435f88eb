"""Evidence bundles: records with their proofs as files, and verifying them from these files alone.

A bundle says nothing by itself: each record is proved by the log's signed checkpoint, and that none was left out by the
records' own counts (`n` within a verification) and by a statement that the log holds: an `evidence.made` record with
the numbers of all records that belong to the answer. `verify.sh` in the bundle does the same with other programs.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from .bundled_ends import unended
from .bundled_older import kept_size, stamped_size
from .bundled_policies import verify_policies
from .bundled_range import claim, last_events, searched
from .bundled_webhooks import verify_webhooks, without_webhook
from .checkpoints import Checkpoint, LogKeys
from .cosignatures import cosigned_by
from .notes import NoteError, VerifierKey
from .proofs import Proof

CHECKPOINT, KEY, SUMS, SCRIPT = "checkpoint", "log.vkey", "SHA256SUMS", "verify.sh"
STATEMENT = "statement"
RECORDS, ROTATIONS = "records/", "rotations/"
LEAF, PROOF, PERSON, SALT = ".leaf", ".tlog-proof", ".person", ".salt"
STATED = "evidence.made"
OF_A_NUMBER = "number"
"""The question of a statement about a number; which one is in what the statement commits to."""

_QUESTION = re.compile(r"[ -~]{1,200}", re.ASCII)
_MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
_PERIOD = re.compile(rf"from {_MOMENT} to ({_MOMENT})", re.ASCII)
DIGITS = 9

Files = Mapping[str, bytes]
MOST_RECORDS = 1_000_000
"""More than a bundle can hold: a statement that names more is not followed."""


class BundleRefused(NoteError):
    """The bundle proves not what it should; the sentence names the first file or record that is wrong."""


@dataclass(frozen=True, slots=True)
class BundleReport:
    """What a bundle proves.

    `unended`: verifications without their end. `carrier_keys`: the carrier's keys (Ed25519), one for each webhook of
    it that was verified. `stamped`: how many records were there at the time of the timestamp, None without one.
    `continues`: how many the older checkpoint has that somebody kept and the log continues, None without one.
    `question`: what the records answer, as the log says; None if it does not say which records belong to an answer.
    `asked`: when that was put on record, and as which record: the answer says nothing of later ones.
    `cosigned_by`: the witnesses whose keys were given, each of which cosigned. `unverified`: the names of other
    cosignatures, which nobody verified. `without_webhook`: the records that name a webhook which is not there.
    `claim`: for which part of the log it says to be complete. `searched`: how many records were, None if the log does
    not say it. `last_events`: of each verification the position in it and the record of the last event that is there.
    `policies`: the configurations that are there. `without_policy`: those that records name and that are not.
    """

    records: int
    size: int
    key: VerifierKey
    disclosed: int
    question: str | None
    cosigned_by: tuple[str, ...]
    unverified: tuple[str, ...] = ()
    asked: tuple[str, int] | None = None
    without_webhook: tuple[int, ...] = ()
    unended: tuple[str, ...] = ()
    carrier_keys: tuple[bytes, ...] = ()
    stamped: int | None = None
    continues: int | None = None
    claim: str = ""
    searched: int | None = None
    last_events: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    without_policy: tuple[str, ...] = ()

    @property
    def stated(self) -> bool:
        """Whether the log says which records belong to the answer."""
        return self.question is not None


def record_name(seq: int) -> str:
    """The beginning of the names of a record's files."""
    return f"{RECORDS}{seq:0{DIGITS}}"


def in_order(names: Iterable[str]) -> list[str]:
    """The order of `SHA256SUMS`: files at the top, then those of each directory."""
    return sorted(names, key=lambda name: ("/" in name, name.encode()))


def sums_of(files: Files) -> bytes:
    """`SHA256SUMS`, as the program `sha256sum` writes it."""
    return "".join(f"{sha256(files[name]).hexdigest()}  {name}\n" for name in in_order(files) if name != SUMS).encode()


def ranges_of(numbers: Sequence[int]) -> str:
    """`1-5,9`: numbers in ascending order, in few characters."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def numbers_of(ranges: str) -> list[int]:
    """Undo `ranges_of`. Raises ValueError."""
    parts = [part.partition("-") for part in ranges.split(",")] if ranges else []
    pairs = [(int(first), int(last or first)) for first, _, last in parts]
    if sum(max(0, last - first + 1) for first, last in pairs) > MOST_RECORDS:
        raise ValueError(f"more than {MOST_RECORDS} records")
    return [number for first, last in pairs for number in range(first, last + 1)]


def verify_bundle(
    files: Files,
    trusted: VerifierKey | None = None,
    carrier_keys: Sequence[bytes] = (),
    *,
    witnesses: Sequence[VerifierKey] = (),
    kept: Checkpoint | None = None,
    may_be_open: bool = False,
) -> BundleReport:
    """Verify every file. `trusted`, `carrier_keys` and `witnesses` are keys that were learnt elsewhere: the log's, the
    carrier's, and those of witnesses, each of whom has to have cosigned.

    `kept`: one that was kept, and that the bundle's checkpoint has to continue. `may_be_open`: it is good although the
    end of a verification is missing. Raises BundleRefused, NoteError.
    """
    _require(files.get(SUMS) == sums_of(files), "the files are not those of SHA256SUMS")
    _require(CHECKPOINT in files and KEY in files, "the bundle has no checkpoint or no key")
    told = VerifierKey.parse(_text(files[KEY]))
    _require(files[KEY] == f"{told}\n".encode(), f"{KEY} is not one line")
    keys = LogKeys(trusted or told, [files[name] for name in in_order(files) if name.startswith(ROTATIONS)])
    checkpoint = keys.verify(files[CHECKPOINT])
    records = {name.removesuffix(LEAF): raw for name, raw in files.items() if name.endswith(LEAF)}
    _require_no_stray(records, files)
    leaves = [_leaf(name, raw, files, keys) for name, raw in sorted(records.items())]
    proved = [leaf for leaf in leaves if leaf["name"] != STATEMENT]
    statement = next((leaf for leaf in leaves if leaf["name"] == STATEMENT), None)
    stated = require_complete(proved, statement)
    size = None if statement is None else searched(statement, stated)
    missing = unended(proved, statement)
    is_good = may_be_open or statement is None or not missing
    _require(is_good, f"the end of {', '.join(missing[:1])} was left out, or it never came")
    question = None if statement is None else _question(statement, files)
    disclosed = sum(_is_disclosed(leaf, files) for leaf in proved)
    cosigned, unverified = cosigned_by(files[CHECKPOINT], witnesses)
    policies, without_policy = verify_policies(proved, files, statement)
    return BundleReport(
        records=len(proved),
        size=checkpoint.size,
        key=trusted or told,
        disclosed=disclosed,
        question=question,
        cosigned_by=cosigned,
        unverified=unverified,
        asked=None if statement is None else (statement["at"], statement["seq"]),
        without_webhook=without_webhook(proved, files),
        unended=tuple(missing),
        carrier_keys=verify_webhooks(proved, files, carrier_keys),
        stamped=stamped_size(files, checkpoint),
        continues=kept_size(files, checkpoint, kept),
        claim=claim(None if statement is None else statement["seq"], size),
        searched=size,
        last_events=last_events(proved),
        policies=policies,
        without_policy=without_policy,
    )


def _question(statement: Mapping[str, Any], files: Files) -> str:
    """What was asked, with the number's mask and keyed hash where they are disclosed."""
    question = statement["detail"].get("question")
    said = isinstance(question, str) and _QUESTION.fullmatch(question)
    _require(bool(said), "the statement does not say what was asked")
    _require_past(str(question), statement.get("at"))
    if not _is_disclosed(statement, files):
        return str(question)
    disclosed = "".join(one for one in _text(files[STATEMENT + PERSON]) if one.isprintable())
    return f"{question} {disclosed}"


def _require_past(question: str, at: object) -> None:
    """What was asked about had passed when it was asked. Times of this form sort as they follow one another."""
    known = isinstance(at, str) and re.fullmatch(_MOMENT, at, re.ASCII) is not None
    _require(known, "the statement does not say when it was asked")
    period = _PERIOD.fullmatch(question)
    told = period is not None or not question.startswith("from ")
    _require(told, "the statement does not say about which time was asked")
    past = period is None or period[1] <= str(at)
    _require(past, f"it was asked at {at} about a time until {period and period[1]}, which had not passed")


def _require_no_stray(records: Mapping[str, bytes], files: Files) -> None:
    """What is in the directory of the records belongs to one of them."""
    known = {name + kind for name in records for kind in (LEAF, PROOF, PERSON, SALT)}
    stray = next((name for name in in_order(files) if name.startswith(RECORDS) and name not in known), None)
    _require(stray is None, f"{stray} belongs to no record")


def _leaf(name: str, raw: bytes, files: Files, keys: LogKeys) -> dict[str, Any]:
    """The record, if its proof is good and it stands where it says."""
    proof = Proof.parse(files.get(name + PROOF, b""))
    _require(proof.checkpoint.encode() == files[CHECKPOINT], f"{name}{PROOF} has another checkpoint than the bundle")
    try:
        proof.verify(raw, keys)
        leaf: dict[str, Any] = {**json.loads(raw), "name": name}
        seq = int(leaf["seq"])
        if not isinstance(leaf["type"], str) or not isinstance(leaf["detail"], dict):
            raise TypeError("it is no record")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleRefused(f"{name}{LEAF} is not proved: {error}") from error
    _require(proof.index == seq - 1, f"{name}{LEAF} stands elsewhere in the log than it says")
    _require(name in (STATEMENT, record_name(seq)), f"{name}{LEAF} has the name of another record")
    return leaf


def require_complete(proved: Sequence[Mapping[str, Any]], statement: Mapping[str, Any] | None) -> list[int]:
    """The records that belong there, in order. Raises BundleRefused with the first that was left out, or does not.

    `proved` are the records, `statement` the one that says which belong there, if the log has one.
    """
    seqs = {leaf["seq"] for leaf in proved}
    if statement is not None:
        _require(statement["type"] == STATED, "the statement is no record of evidence that was made")
        try:
            stated = set(numbers_of(str(statement["detail"].get("records", ""))))
        except ValueError as error:
            raise BundleRefused("the statement does not say which records belong here") from error
        missing, more = sorted(stated - seqs), sorted(seqs - stated)
        _require(not missing, f"record {missing[0] if missing else 0} was left out: the log says that it belongs here")
        _require(not more, f"record {more[0] if more else 0} is not of those that the log says belong here")
    for verification, counted in _counted(proved).items():
        last = max(counted)
        gap = next((number for number in range(1, last) if number not in counted), None)
        _require(gap is None, f"event {gap} of {verification} was left out: there are later ones")
    return sorted(seqs)


def _counted(proved: Sequence[Mapping[str, Any]]) -> dict[str, set[int]]:
    counted: dict[str, set[int]] = {}
    for leaf in proved:
        if isinstance(leaf.get("verification_id"), str) and isinstance(leaf.get("n"), int) and leaf["n"] > 0:
            counted.setdefault(leaf["verification_id"], set()).add(leaf["n"])
    return counted


def _is_disclosed(leaf: Mapping[str, Any], files: Files) -> bool:
    """Whether what the record commits to is there. What is there has to be that."""
    person, salt = files.get(leaf["name"] + PERSON), files.get(leaf["name"] + SALT)
    if person is None and salt is None:
        return False
    try:
        raw = bytes.fromhex(_text(salt or b""))
    except ValueError:
        raw = b""
    _require(salt == f"{raw.hex()}\n".encode(), f"{leaf['name']}{SALT} is not hexadecimal")
    digest = sha256(raw + (person or b"")).hexdigest()
    _require(leaf.get("person") == f"sha256:{digest}", f"{leaf['name']}{PERSON} is not what the record commits to")
    return True


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BundleRefused("a file of the bundle is no text") from error


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise BundleRefused(sentence)
