"""Looking things up: one verification with its timeline, a number's opt-outs, the audit record."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..domain import phone
from ..domain.audit import ZERO, Event, EventField, Position, decode_cursor, encode_cursor
from ..domain.optout_list import OptOut
from ..domain.policy import Policy
from ..domain.view import TimelineEntry, VerificationView
from . import ports

MAX_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What an auditor wants to see. Times are Unix milliseconds, both ends included; None passes everything."""

    app: str | None = None
    verification_id: str | None = None
    to: str | None = field(default=None, repr=False)
    types: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    cursor: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Events in order of time; `next_cursor` is None at the end."""

    events: Sequence[Event]
    next_cursor: str | None
    positions: Sequence[Position]


class Browse:
    """What may be read. Safe for many threads."""

    def __init__(
        self,
        *,
        store: ports.VerificationStore,
        optouts: ports.OptOutRegistry,
        record: ports.AuditReader,
        vault: ports.Vault,
        policy: Policy,
    ) -> None:
        self._store = store
        self._optouts = optouts
        self._record = record
        self._ids = vault.ids
        self._policy = policy

    def verification(
        self, app: str | None, verification_id: str
    ) -> tuple[VerificationView, list[TimelineEntry]] | None:
        """A verification of this app, and everything that happened to it, in order. Raises StoreUnavailable.

        Without an app anybody's: only for callers who have proven that they may see this very one.
        """
        ref = self._ids.read(verification_id)
        return self._store.view_with_timeline(ref, app) if ref is not None else None

    def optouts(self, number: str) -> tuple[str, list[OptOut]]:
        """The number's mask and its entry for every profile we know of. Raises InvalidNumber, StoreUnavailable."""
        person = phone.parse(number)
        known = {
            entry.messaging_profile_id: entry for entry in self._optouts.of_number(self._ids.number_hash(person.e164))
        }
        for sender in self._policy.senders.values():
            nothing = OptOut(sender.messaging_profile_id, False, 0, None, "none")
            known.setdefault(sender.messaging_profile_id, nothing)
        return person.mask, [known[profile] for profile in sorted(known)]

    def audit(self, wanted: AuditFilter, visible_app: str | None) -> AuditPage:
        """A page of the record. `visible_app` bounds what the reader may see: its own events and those of no app.

        Raises ValueError for a cursor that is not ours, InvalidNumber and StoreUnavailable.
        """
        shards: Sequence[int] = range(self._record.shards)
        fields: dict[str, frozenset[str]] = {}
        if visible_app is not None:
            fields[EventField.APP] = frozenset({visible_app, ""})
        if wanted.app is not None:
            fields[EventField.APP] = frozenset({wanted.app}) & fields.get(EventField.APP, frozenset({wanted.app}))
        if wanted.types:
            fields[EventField.TYPE] = wanted.types
        if wanted.to is not None:
            number = self._ids.number_hash(phone.parse(wanted.to).e164)
            fields[EventField.NUMBER_HASH] = frozenset({number})
            shards = [self._record.shard_of(number)]
        if wanted.verification_id is not None:
            ref = self._ids.read(wanted.verification_id)
            fields[EventField.VERIFICATION] = frozenset({ref.token if ref else "-"})
            shards = [self._record.shard_of(ref.number_hash)] if ref else []
        page = self._record.read(
            self._positions(wanted),
            shards=shards,
            until_ms=wanted.until_ms,
            limit=min(wanted.limit, MAX_PAGE),
            wanted=fields,
        )
        cursor = None if page.at_end else encode_cursor(page.positions)
        return AuditPage(page.events, cursor, page.positions)

    def _positions(self, wanted: AuditFilter) -> list[Position]:
        if wanted.cursor is not None:
            return decode_cursor(wanted.cursor, self._record.shards)
        # Positions are exclusive: the last one before the first wanted millisecond.
        since = max(0, (wanted.since_ms or 0) - 1)
        first = Position(since, 2**63 - 1) if since else ZERO
        return [first] * self._record.shards
