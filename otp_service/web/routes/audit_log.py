"""The signed log of the audit record: checkpoint, tiles and proofs, in the forms of C2SP (see `transparency`)."""

from collections.abc import Callable, Mapping
from typing import Protocol

from ...domain.audit import EventType
from ...domain.errors import InvalidRequest
from ...transparency.checkpoints import read_checkpoint
from ...transparency.notes import NoteError, VerifierKey
from ...transparency.tiles import parse_level, parse_tile_path
from ...transparency.tree import TILE_WIDTH
from ...usecases.ports import PublishedLog
from ..auth import EVERY_APP
from ..bodies import decode
from ..http import LASTING, NO_STORE, Call, Doc, Reply, Route, reply
from ..problems import Problems
from ..schemas.audit import Cosigned, LogKeys, Witnessed
from .codes import BODY, CALLER, STORE

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
_CODES = (*CALLER, *STORE, "not_found")

_CHECKPOINT = Doc(
    "The newest signed checkpoint of the audit log",
    codes=_CODES,
    media="text/plain",
    tag="audit",
    operation_id="getCheckpoint",
    description="C2SP tlog-checkpoint: the log's name, how many records it has, and the root of its Merkle tree "
    "(RFC 9162), signed. Cosignatures of witnesses stand below. 404 until the first one is signed.",
)
_KEYS = Doc(
    "The keys of the audit log",
    None,
    LogKeys,
    200,
    (*CALLER, *STORE),
    tag="audit",
    operation_id="listLogKeys",
    description="The key that signed first, and the last checkpoint that each old key signed. It names the next key, "
    "so that who knows the first key can follow. Compare the first key with one that you learnt by another way.",
)
_COSIGN = Doc(
    "Hand in a witness's cosignature",
    Cosigned,
    Witnessed,
    200,
    (*CALLER, *BODY, *STORE, "not_found"),
    tag="audit",
    operation_id="addCosignature",
    description="C2SP tlog-cosignature of a checkpoint of this log; it is published with the checkpoint. At most "
    "16 witnesses. Needs `audit:all`: the log is that of all apps.",
)
_TILE = Doc(
    "A tile of the log's tree",
    codes=_CODES,
    media=BYTES,
    tag="audit",
    operation_id="getTile",
    description="C2SP tlog-tiles: up to 256 hashes. Level 0 has those of records.",
)
_ENTRIES = Doc(
    "256 records of the log",
    codes=_CODES,
    media=BYTES,
    tag="audit",
    operation_id="getEntries",
    description="C2SP tlog-tiles: records, each behind its length in two bytes. Needs `audit:all`: they are of all "
    "apps.",
)
_PROOF = Doc(
    "The proof that a record is in the log",
    codes=_CODES,
    media="text/plain",
    tag="audit",
    operation_id="getProof",
    description="C2SP tlog-proof, with the record as its extra data. Checked without us: see the guide for auditors. "
    "404 until a checkpoint has the record, which takes ten seconds.",
)

_PREFIX = "/audit/log/"


ONCE_MS = 60_000
"""Reading records with one key is on record once in this time, as pages of events are."""


class Record(Protocol):
    """Puts an event on record."""

    def __call__(
        self, kind: EventType, detail: Mapping[str, str], throttle_ms: int = 0, *, app: str = "", mark: str = ""
    ) -> object:
        """It belongs to the app; with a throttle once for each mark in that time."""
        ...


Log = Callable[[], PublishedLog | None]
"""The log; None while there is no ledger."""


class AuditLogRoutes:
    """Publishes the log. It holds hashes of all apps' records; what they say is shown with `audit:all` only."""

    def __init__(self, log: Log, problems: Problems, record: Record, now_s: Callable[[], float]) -> None:
        self._log = log
        self._record = record
        self._now_s = now_s
        self._problems = problems

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        tile = "/audit/log/tile/{level}/{tile}"
        return [
            Route("GET", "/audit/log/checkpoint", self.checkpoint, "audit:read", _CHECKPOINT),
            Route("GET", "/audit/log/keys", self.keys, "audit:read", _KEYS),
            Route("POST", "/audit/log/cosignatures", self.cosign, EVERY_APP, _COSIGN),
            Route("GET", "/audit/log/tile/entries/{tile}", self.entries, EVERY_APP, _ENTRIES),
            Route("GET", tile, self.tile, "audit:read", _TILE),
            Route("GET", "/audit/events/{seq}/proof", self.proof, "audit:read", _PROOF),
        ]

    def checkpoint(self, call: Call) -> Reply:
        """GET /audit/log/checkpoint."""
        log = self._log()
        return self._text(log.checkpoint() if log else None, call)

    def keys(self, _: Call) -> Reply:
        """GET /audit/log/keys."""
        log = self._log()
        return reply(200, LogKeys(*(log.keys() if log else (None, []))))

    def cosign(self, call: Call) -> Reply:
        """POST /audit/log/cosignatures."""
        body, log = decode(call.headers, call.body, Cosigned), self._log()
        try:
            key, checkpoint = VerifierKey.parse(body.key), read_checkpoint(body.checkpoint)[1]
            is_new = log.take_cosignature(body.key, body.checkpoint, int(self._now_s() * 1000)) if log else None
        except NoteError as error:
            raise InvalidRequest(f"It is no cosignature of this log: {error}.") from error
        if is_new is None:
            return self._nothing(call)
        if is_new:
            self._record(EventType.WITNESS_ADDED, {"witness": key.name, "key": str(key)}, app=call.app)
        return reply(200, Witnessed(key.name, checkpoint.size))

    def tile(self, call: Call) -> Reply:
        """GET /audit/log/tile/{level}/{tile}."""
        found = hash_tile(self._log(), call.path["level"], call.path["tile"])
        return found or self._nothing(call)

    def entries(self, call: Call) -> Reply:
        """GET /audit/log/tile/entries/{tile}."""
        log, place = self._log(), parse_tile_path(call.path["tile"])
        found = log.entries(*place) if log and place else None
        if not found:
            return self._nothing(call)
        self._put_on_record(call, "entries")
        return _bytes(found, full=place is not None and place[1] == TILE_WIDTH)

    def proof(self, call: Call) -> Reply:
        """GET /audit/events/{seq}/proof."""
        log = self._log()
        app = None if EVERY_APP in call.scopes else call.app
        found = log.proof(call.path["seq"], app) if log else None
        if found is not None:
            self._put_on_record(call, "proof")
        return self._text(found, call)

    def _put_on_record(self, call: Call, what: str) -> None:
        """A tile of records and a proof show records as pages do: who looks is on record before."""
        key_id = call.principal.key_id if call.principal else ""
        self._record(EventType.AUDIT_READ, {"log": what}, ONCE_MS, mark=f"read:{key_id}:log:{what}")

    def _text(self, text: str | None, call: Call) -> Reply:
        return self._nothing(call) if text is None else _text(text)

    def _nothing(self, call: Call) -> Reply:
        return self._problems.of("not_found", "The log has nothing under this name, or not yet.", call.request_id)


def hash_tile(log: PublishedLog | None, level: str, path: str) -> Reply | None:
    """A tile of hashes by its path; None if there is none."""
    place, number = parse_tile_path(path), parse_level(level)
    if log is None or place is None or number is None:
        return None
    found = log.tile(number, *place)
    return _bytes(found, full=place[1] == TILE_WIDTH) if found else None


def _bytes(raw: bytes, *, full: bool) -> Reply:
    return Reply(200, {"Content-Type": BYTES, **(LASTING if full else NO_STORE)}, raw)


def _text(text: str) -> Reply:
    return Reply(200, {"Content-Type": TEXT, **NO_STORE}, text.encode())


def without_a_key(log: Log, path: str) -> Reply | None:
    """What the listener of `--metrics-port` shows of the log: no record, only hashes. None for any other path."""
    found = log() if path.startswith(_PREFIX) else None
    if found is None:
        return None
    name = path.removeprefix(_PREFIX)
    if name == "checkpoint":
        checkpoint = found.checkpoint()
        return _text(checkpoint) if checkpoint else None
    if name == "keys":
        return reply(200, LogKeys(*found.keys()))
    kind, _, tile = name.partition("/")
    level, _, rest = tile.partition("/")
    return hash_tile(found, level, rest) if kind == "tile" else None
