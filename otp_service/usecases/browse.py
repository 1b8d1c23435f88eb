"""Looking things up: one verification with its timeline, a number's opt-outs, the audit record."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..domain import phone
from ..domain.audit import ZERO, Event, EventField, Position
from ..domain.errors import StoreUnavailable
from ..domain.ids import Ids
from ..domain.optout_list import OptOut
from ..domain.policy import Policy
from ..domain.view import TimelineEntry, VerificationView
from . import ports
from .audit_cursors import AuditCursors, next_positions
from .audit_filters import AuditFilter, passing
from .verify.apps import configured_app

MAX_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Events in order of time, each with the keyed hash that its app may see; `next_cursor` is None at the end.

    `unread`: shards that did not answer. Their latest events are missing here, and come on a later page.
    """

    events: Sequence[Event]
    next_cursor: str | None
    unread: frozenset[int] = frozenset()


class Browse:
    """What may be read. Safe for many threads."""

    def __init__(
        self,
        *,
        store: ports.VerificationStore,
        optouts: ports.OptOutRegistry,
        record: ports.AuditReader,
        vault: ports.Vault,
        key_ids: ports.KeyIds,
        policy: Policy,
    ) -> None:
        self._store = store
        self._optouts = optouts
        self._record = record
        self._ids = vault.ids
        self._cursors = AuditCursors(vault, key_ids, record.shards)
        self._policy = policy

    def verification(
        self, app: str | None, verification_id: str
    ) -> tuple[VerificationView, list[TimelineEntry]] | None:
        """A verification of this app, and everything that happened to it, in order. Raises StoreUnavailable.

        Without an app anybody's: only for callers who have proven that they may see this very one.
        """
        ref = self._ids.read(verification_id)
        return self._store.view_with_timeline(ref, app) if ref is not None else None

    def optouts(self, app: str, number: str) -> tuple[str, list[OptOut]]:
        """The number's mask and its entry for every profile of the app's route; of other profiles nothing.

        Raises InvalidNumber, NotReady for an app that was removed, and StoreUnavailable.
        """
        person = phone.parse(number)
        known = {
            entry.messaging_profile_id: entry for entry in self._optouts.of_number(self._ids.number_hash(person.e164))
        }
        profiles = {sender.messaging_profile_id for sender in configured_app(self._policy, app).route}
        return person.mask, [known.get(name) or OptOut(name, False, 0, None, "none") for name in sorted(profiles)]

    def audit(self, wanted: AuditFilter, visible_app: str | None) -> AuditPage:
        """A page of the record. `visible_app`: the app whose events the reader may see, and no others; None for all.

        What it says, the cursor too, is the same whatever other apps did, but where thousands of their events in a row
        end a page early. Raises ValueError for a cursor that is not ours, KeyUnknown where another process has its key,
        InvalidNumber, and StoreUnavailable where there is nothing to show and shards that do not answer may have more.
        """
        positions = self._positions(wanted)
        if visible_app is not None and wanted.app not in (None, visible_app):
            return AuditPage([], None)
        fields, shards = passing(wanted, visible_app or wanted.app, self._record, self._ids)
        limit = min(wanted.limit, MAX_PAGE)
        # One more than is shown: only an event that the reader may see makes another page.
        page = self._record.read(positions, shards=shards, until_ms=wanted.until_ms, limit=limit + 1, wanted=fields)
        if page.is_stuck:
            raise StoreUnavailable("A shard of the store does not answer, and it may have the next events.")
        after = next_positions(positions, page, limit)
        cursor = None if after is None else self._cursors.text(after)
        return AuditPage([as_seen(event, self._ids) for event in page.events[:limit]], cursor, page.unread)

    def _positions(self, wanted: AuditFilter) -> Sequence[Position]:
        if wanted.cursor is not None:
            return self._cursors.read(wanted.cursor)
        # Positions are exclusive: the last one before the first wanted millisecond.
        since = max(0, (wanted.since_ms or 0) - 1)
        first = Position(since, 2**63 - 1) if since else ZERO
        return [first] * self._record.shards


def as_seen(event: Event, ids: Ids | None) -> Event:
    """The event with the hash of its number keyed for its app: apps that compare theirs learn nothing of a person.

    Without the keys (`ids` None) it has none.
    """
    if event.number_hash is None:
        return event
    seen = ids.subject(event.app or "", event.number_hash) if ids else ""
    return replace(event, fields={**event.fields, EventField.NUMBER_HASH: seen})
