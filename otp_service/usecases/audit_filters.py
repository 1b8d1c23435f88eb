"""What somebody wants to see of the record, and which events that are."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..domain import phone
from ..domain.audit import EventField
from ..domain.ids import Ids
from . import ports


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What an auditor wants to see. Times are Unix milliseconds, both ends included; None passes everything."""

    app: str | None = None
    verification_id: str | None = None
    delivery_id: str | None = None
    to: str | None = field(default=None, repr=False)
    types: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    cursor: str | None = None
    limit: int = 100


def passing(
    wanted: AuditFilter, app: str | None, record: ports.AuditReader, ids: Ids
) -> tuple[dict[str, frozenset[str]], Sequence[int]]:
    """Which values of which fields pass, and on which shards such events are. Raises InvalidNumber."""
    shards: Sequence[int] = range(record.shards)
    fields: dict[str, frozenset[str]] = {}
    if app is not None:
        fields[EventField.APP] = frozenset({app})
    if wanted.types:
        fields[EventField.TYPE] = wanted.types
    if wanted.to is not None:
        number = ids.number_hash(phone.parse(wanted.to).e164)
        fields[EventField.NUMBER_HASH] = frozenset({number})
        shards = [record.shard_of(number)]
    if wanted.verification_id is not None:
        ref = ids.read(wanted.verification_id)
        fields[EventField.VERIFICATION] = frozenset({ref.token if ref else "-"})
        shards = [record.shard_of(ref.number_hash)] if ref else []
    if wanted.delivery_id is not None:
        found = ids.read_delivery(wanted.delivery_id)
        fields[EventField.DELIVERY] = frozenset({wanted.delivery_id})
        shards = [record.shard_of(found[0].number_hash)] if found else []
    return fields, shards
