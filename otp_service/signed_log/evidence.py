"""Gathering evidence: the records that answer a question, each with its proof, and what shows that none is missing."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from ..clock import rfc3339
from ..domain.canonical_json import canonical
from ..domain.errors import KeyUnknown, SealBroken, ServiceError
from ..domain.ids import VERIFICATION_PREFIX
from ..ledger.database import Database
from ..ledger.tables import PERSONS, RECORDS
from ..transparency import bundles
from ..transparency.bundled_older import kept_files, timestamp_files
from ..transparency.bundled_policies import policy_files
from ..transparency.bundled_webhooks import keys_file, webhook_files
from ..transparency.bundles import record_name
from ..transparency.checkpoints import LogKeys, read_checkpoint
from ..transparency.tree import Tree
from .archives import own_script
from .beside_webhooks import webhook_of
from .log_store import LogStore, SignedCheckpoint
from .reading import for_proofs, prove
from .stored_tiles import StoredTiles
from .timeline import timeline_html, timeline_text
from .timestamps import timestamp_for

RECORDS_MAX = 10_000


class NoEvidence(ServiceError):
    """There is nothing to show, or too much; the sentence says which."""

    code = "not_found"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: one of the three. `since_ms` and `until_ms` are Unix milliseconds, the first included.

    `verification`: the token of its id. `mask`: how the number is shown.
    """

    verification: str | None = None
    number_hash: str | None = None
    mask: str = ""
    since_ms: int = 0
    until_ms: int = 0

    @property
    def sentence(self) -> str:
        """As the statement has it. Which number it is stands in the statement's commitment, which can be erased."""
        if self.verification is not None:
            return f"verification {VERIFICATION_PREFIX}{self.verification}"
        if self.number_hash is not None:
            return bundles.OF_A_NUMBER
        return f"from {rfc3339(self.since_ms)} to {rfc3339(self.until_ms)}"

    @property
    def condition(self) -> ColumnElement[bool]:
        """Which rows answer it."""
        if self.verification is not None:
            return RECORDS.c.verification == self.verification
        if self.number_hash is not None:
            return RECORDS.c.number_hash == self.number_hash
        return (RECORDS.c.at_ms >= self.since_ms) & (RECORDS.c.at_ms < self.until_ms)


def search(database: Database, question: Question) -> tuple[list[int], int]:
    """The numbers of the records that answer, and how many records of the log were searched: all that there are.

    Raises LedgerUnavailable, NoEvidence.
    """
    with database.reading() as connection:
        size = int(connection.execute(select(func.max(RECORDS.c.seq))).scalar() or 0)
        return _found(connection, question.condition), size


def answering(database: Database, question: Question, before: int | None = None) -> list[int]:
    """The numbers of the records that answer. Raises LedgerUnavailable, NoEvidence.

    `before`: only those that stand before this record or are older than it.
    """
    with database.reading() as connection:
        return _found(connection, question.condition if before is None else question.condition & _older(before))


def _found(connection: Connection, condition: ColumnElement[bool]) -> list[int]:
    wanted = select(RECORDS.c.seq).where(condition).order_by(RECORDS.c.seq).limit(RECORDS_MAX + 1)
    seqs = [int(seq) for seq in connection.execute(wanted).scalars()]
    if not seqs:
        raise NoEvidence("the ledger has no record that answers this question")
    if len(seqs) > RECORDS_MAX:
        raise NoEvidence(f"more than {RECORDS_MAX} records answer; ask for a shorter time")
    return seqs


def _older(seq: int) -> ColumnElement[bool]:
    its_time = select(RECORDS.c.at_ms).where(RECORDS.c.seq == seq).scalar_subquery()
    return (RECORDS.c.seq < seq) | (RECORDS.c.at_ms < its_time)


def stated(database: Database, token: str) -> int | None:
    """The record that says which records answer, found by its token; None while it is not in the ledger."""
    wanted = select(RECORDS.c.seq, RECORDS.c.leaf).where(RECORDS.c.type == bundles.STATED)
    with database.reading() as connection:
        rows = connection.execute(wanted.order_by(RECORDS.c.at_ms.desc()).limit(50)).all()
    return next((int(row.seq) for row in rows if json.loads(row.leaf)["detail"].get("token") == token), None)


@dataclass(frozen=True, slots=True)
class Gathering:
    """What a bundle is made with. `unseal` opens what identifies somebody, None discloses nothing.

    `also`: further files by name, such as the keys of receipts. `now_ms`: Unix milliseconds. `kept`: the note of an
    older checkpoint, which who asks has kept; "" for none. `webhooks`: whether the carrier's are packed, too, with the
    whole number and the message in them; not without `unseal`. `policies`: the configurations that the records name,
    by their hashes.
    """

    keys: LogKeys
    unseal: Callable[[str], bytes] | None
    also: Mapping[str, bytes]
    now_ms: int = 0
    kept: str = ""
    webhooks: bool = False
    policies: Mapping[str, str] = field(default_factory=dict)


def gather(
    database: Database,
    seqs: Sequence[int],
    statement: int | None,
    gathering: Gathering,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> dict[str, bytes]:
    """The files of a bundle. Raises LedgerUnavailable, NoEvidence if a record is not signed yet."""
    with database.reading() as connection:
        log = LogStore(connection)
        signed = for_proofs(log, max([*seqs, statement or 0]))
        if signed is None:
            raise NoEvidence("no checkpoint has all of these records yet: try again in ten seconds")
        made = _made(connection, seqs, signed, gathering.unseal, progress)
        if statement is not None:
            made |= _shown(connection, statement, bundles.STATEMENT, signed, gathering.unseal)
        made |= _webhooks(connection, seqs, gathering)
        made |= _timestamp(connection, max(seqs), signed) | _kept(connection, gathering.kept, signed)
        note = log.published(signed).encode()
        rotations = _rotations(log, gathering.keys, signed)
    leaves = [json.loads(made[record_name(seq) + bundles.LEAF]) for seq in seqs]
    made |= {
        bundles.CHECKPOINT: note,
        bundles.KEY: f"{gathering.keys.keys[0]}\n".encode(),
        **rotations,
        **policy_files(gathering.policies),
        **gathering.also,
        "timeline.txt": timeline_text(leaves).encode(),
        "timeline.html": timeline_html(leaves).encode(),
        bundles.SCRIPT: own_script(),
    }
    return {**made, bundles.SUMS: bundles.sums_of(made)}


def _made(
    connection: Connection,
    seqs: Sequence[int],
    signed: SignedCheckpoint,
    unseal: Callable[[str], bytes] | None,
    progress: Callable[[int, int], object],
) -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    for done, seq in enumerate(seqs, 1):
        made |= _shown(connection, seq, record_name(seq), signed, unseal)
        progress(done, len(seqs))
    return made


def _shown(
    connection: Connection, seq: int, name: str, signed: SignedCheckpoint, unseal: Callable[[str], bytes] | None
) -> dict[str, bytes]:
    disclosed = {} if unseal is None else _disclosed(connection, seq, name, unseal)
    return {**_proved(connection, seq, name, signed), **disclosed}


def _proved(connection: Connection, seq: int, name: str, signed: SignedCheckpoint) -> dict[str, bytes]:
    leaf = connection.execute(select(RECORDS.c.leaf).where(RECORDS.c.seq == seq)).scalar_one()
    proof = prove(connection, seq, signed)
    return {name + bundles.LEAF: bytes(leaf), name + bundles.PROOF: str(proof).encode()}


def _disclosed(connection: Connection, seq: int, name: str, unseal: Callable[[str], bytes]) -> dict[str, bytes]:
    """What the record commits to, as it was hashed. Nothing where it was erased, or where the key is not there."""
    wanted = select(PERSONS.c.sealed).join_from(RECORDS, PERSONS, RECORDS.c.person == PERSONS.c.id)
    sealed = connection.execute(wanted.where(RECORDS.c.seq == seq)).scalar()
    if sealed is None:
        return {}
    try:
        values: dict[str, Any] = json.loads(unseal(sealed))
        salt = base64.b64decode(values.pop("salt"))
    except (KeyUnknown, SealBroken, ValueError, KeyError, binascii.Error):
        return {}
    return {name + bundles.PERSON: canonical(values), name + bundles.SALT: f"{salt.hex()}\n".encode()}


def _webhooks(connection: Connection, seqs: Sequence[int], gathering: Gathering) -> dict[str, bytes]:
    """What the carrier signed, of the records that it caused."""
    if gathering.unseal is None or not gathering.webhooks:
        return {}
    made: dict[str, bytes] = {}
    keys: set[bytes] = set()
    for seq in seqs:
        webhook = webhook_of(connection, seq, gathering.unseal, gathering.now_ms)
        if webhook is not None:
            name, keys = f"{seq:0{bundles.DIGITS}}", keys | {webhook.key}
            made |= webhook_files(name, salt=webhook.salt, signature=webhook.signature, signed=webhook.signed)
    return {**made, **keys_file(keys)}


def _timestamp(connection: Connection, last_seq: int, signed: SignedCheckpoint) -> dict[str, bytes]:
    """What somebody else says of when the records were there, if anybody was asked."""
    found = timestamp_for(connection, last_seq, signed.size)
    if found is None:
        return {}
    path = Tree(StoredTiles(connection)).consistency(found.size, signed.size)
    return timestamp_files(found.note, found.response, path)


def _kept(connection: Connection, note: str, signed: SignedCheckpoint) -> dict[str, bytes]:
    """That the log continues what was kept."""
    if not note:
        return {}
    older = read_checkpoint(note)[1]
    if not 0 < older.size <= signed.size:
        raise NoEvidence(f"the checkpoint that was kept is of {older.size} records, and the evidence of {signed.size}")
    return kept_files(note, Tree(StoredTiles(connection)).consistency(older.size, signed.size))


def _rotations(log: LogStore, keys: LogKeys, signed: SignedCheckpoint) -> dict[str, bytes]:
    """The changes of keys that lead from the first key to the one that signed the checkpoint."""
    note = read_checkpoint(signed.note)[0]
    needed: dict[str, bytes] = {}
    for number, (rotation, key) in enumerate(zip(log.rotations(), keys.keys, strict=False), 1):
        if any(line.is_of(key) for line in note.signatures):
            break
        needed[f"{bundles.ROTATIONS}{number:03}"] = rotation.encode()
    return needed
