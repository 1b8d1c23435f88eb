"""The audit log, read as it grows and page by page: what every implementation promises."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from otp_service.domain.audit import ZERO, Event, EventType, Position
from otp_service.storage.audit_consumer import AuditConsumer as RealConsumer
from otp_service.usecases.ports import AuditConsumer, AuditReader

from ..fakes import FakeAuditConsumer, FakeAuditReader
from ..storage.harness import StoreHarness


@dataclass
class Audit:
    """Both ways to read, and two to write: an event of an app, or of a number's keyed hash."""

    consumer: AuditConsumer
    reader: AuditReader
    write: Callable[[str], object]
    write_about: Callable[[str], object]


@pytest.fixture
def audit(real: StoreHarness | None) -> Audit:
    """An empty log; what was taken is stale at once."""
    return _real(real) if real else _fake()


def _real(stores: StoreHarness) -> Audit:
    consumer = RealConsumer(stores.store, stores.scripts, stores.keys, stale_ms=0)
    consumer.open("0")
    return Audit(
        consumer,
        stores.audit,
        lambda app: stores.audit.record(EventType.KEY_CREATED, {}, app=app),
        lambda number_hash: stores.optouts.record_unclear(number_hash, "+1", None),
    )


def _fake() -> Audit:
    consumer, reader = FakeAuditConsumer(), FakeAuditReader()

    def write(app: str, number_hash: str = "", kind: EventType = EventType.KEY_CREATED) -> None:
        fields = {"type": str(kind), "app": app, "number_hash": number_hash}
        shard = reader.shard_of(number_hash) if number_hash else 0
        event = Event(shard, Position(1_000, len(reader.events)), kind, fields)
        consumer.events.append(event)
        reader.events.append(event)

    return Audit(consumer, reader, write, lambda number_hash: write("", number_hash, EventType.REPLY_UNCLEAR))


def apps(events: list[Event]) -> list[str]:
    """Whose events they are."""
    return [event.fields["app"] for event in events]


def test_an_event_is_read_once_and_again_until_it_is_acknowledged(audit: Audit) -> None:
    """In order, in portions; what was acknowledged never comes again."""
    for app in "abc":
        audit.write(app)
    first = audit.consumer.read_new(2)
    assert apps(first) == ["a", "b"]
    assert apps(audit.consumer.read_new(2)) == ["c"]
    assert audit.consumer.read_new(2) == []
    audit.consumer.acknowledge(first[:1])
    assert apps(audit.consumer.claim_stale(10)) == ["b", "c"]
    assert apps(audit.consumer.claim_stale(1)) == ["b"]
    audit.consumer.acknowledge(audit.consumer.claim_stale(10))
    assert audit.consumer.claim_stale(10) == []


def page(
    audit: Audit, positions: list[Position], limit: int = 10, until_ms: int | None = None, **wanted: str
) -> tuple[list[str], list[Position], bool]:
    """Apps of a page's events, the positions after it, and whether the end was reached."""
    found = audit.reader.read(
        positions,
        shards=range(audit.reader.shards),
        until_ms=until_ms,
        limit=limit,
        wanted={name: frozenset({value}) for name, value in wanted.items()},
    )
    return apps(found.events), found.positions, found.at_end


def test_pages_follow_one_another_to_the_end(audit: Audit) -> None:
    """Positions are exclusive; the last page says that it is the last."""
    for app in "abc":
        audit.write(app)
    begin = [ZERO] * audit.reader.shards
    events, after, at_end = page(audit, begin, limit=2)
    assert (events, at_end) == (["a", "b"], False)
    assert page(audit, after)[::2] == (["c"], True)
    assert page(audit, begin)[::2] == (["a", "b", "c"], True)


def test_what_is_not_wanted_is_passed_over(audit: Audit) -> None:
    """By field, by time and by shard."""
    for app in "aba":
        audit.write(app)
    begin = [ZERO] * audit.reader.shards
    assert page(audit, begin, app="a")[0] == ["a", "a"]
    assert page(audit, begin, app="a", type="key.created")[0] == ["a", "a"]
    assert page(audit, begin, nh="x")[::2] == ([], True)
    assert page(audit, begin, until_ms=1)[::2] == ([], True)
    found = audit.reader.read(begin, shards=[1], until_ms=None, limit=10, wanted={})
    assert (found.events, found.at_end) == ([], True)


def test_the_events_of_a_number_are_on_its_shard(audit: Audit) -> None:
    """And on no other one."""
    number, begin = "0000000b" + "00" * 6, [ZERO] * audit.reader.shards
    shard = audit.reader.shard_of(number)
    audit.write_about(number)
    for shards, found in (([shard], [number]), ([other for other in range(len(begin)) if other != shard], [])):
        page = audit.reader.read(begin, shards=shards, until_ms=None, limit=10, wanted={})
        assert [event.fields["number_hash"] for event in page.events] == found
