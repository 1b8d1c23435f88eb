"""Made-up events for a large ledger: logins of a year, as the exporter gets them from the store."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from otp_service.domain.audit import Event, EventField, EventType, Position
from otp_service.domain.ids import Reference, shard_of
from otp_service.domain.record_page import EVENTS_PER_ENTRY
from otp_service.keyring import Keyring

from ..storage.harness import SHARDS

YEAR_MS = 365 * 86_400_000
EACH = 5.6
"""Events of one login, about."""

APPS = {"shop": 80.0, "bank": 15.0, "mail": 4.9, "lab": 0.1}
"""How often a login is of each app: one is huge, one has next to nothing."""

BUSY = "+13125550000"
"""A number that has one of a hundred logins."""

RARE = EventType.OPTED_OUT
"""One of some ten thousand events is of this type."""

NEVER = EventType.FACTOR_RENAMED
"""No event is of this type."""

Steps = list[tuple[int, str, dict[str, object]]]


@dataclass(frozen=True, slots=True)
class Login:
    """One verification, of an app, that began at a time (Unix milliseconds). `mask`: how its number is shown."""

    ref: Reference
    app: str
    mask: str
    at_ms: int
    serial: int

    def event(self, n: int, after_ms: int, kind: str, detail: dict[str, object]) -> Event:
        """Its n-th event, so long after its start."""
        fields = {
            EventField.TYPE: kind,
            EventField.VERIFICATION: self.ref.token,
            EventField.APP: self.app,
            EventField.MASK: self.mask,
            EventField.NUMBER_HASH: self.ref.number_hash,
            EventField.DELIVERY: self.ref.delivery_id(1) if kind.startswith("delivery.") else "",
            EventField.KEY_ID: f"key_{self.app}",
            EventField.REQUEST_ID: f"req_{self.serial:016x}",
            EventField.ADDRESS: "192.0.2.0/24",
            EventField.POLICY: "0123456789abcdef",
            EventField.PROCESS: "abcde",
            EventField.N: str(n),
            EventField.DETAIL: json.dumps(detail),
        }
        # Within one millisecond a login's events are in their order; then they are counted as entries of a stream.
        position = Position(self.at_ms + after_ms, self.serial * 8 + n)
        return Event(shard_of(self.ref.number_hash, SHARDS), position, kind, fields)


class Logins:
    """So many events, the last ones about `now_ms` (Unix milliseconds)."""

    def __init__(self, ring: Keyring, events: int, now_ms: int, span_ms: int = YEAR_MS, serial: int = 0) -> None:
        """`serial`: the first one's number, which no other has had. `span_ms`: from the first to the last."""
        self._ring = ring
        self._count = max(1, int(events / EACH))
        self._began_ms = now_ms - span_ms
        self._span_ms = span_ms
        self._serial = serial
        self._random = random.Random(serial + 14)
        self._numbers = max(1, self._count // 4)
        self._last: dict[int, tuple[int, int]] = {}

    def portions(self, logins: int) -> Iterator[list[Event]]:
        """The events of so many logins at a time, in order of time and counted as the store counts entries.

        What comes after the next logins have begun waits for their portion.
        """
        waiting: list[Event] = []
        for first in range(0, self._count, logins):
            last = min(first + logins, self._count)
            waiting += [one for serial in range(first, last) for one in self._events(serial)]
            waiting.sort(key=lambda event: (event.position, event.shard))
            until_ms = self._begins_ms(last) if last < self._count else waiting[-1].at_ms + 1
            ready = sum(event.at_ms < until_ms for event in waiting)
            taken, waiting = waiting[:ready], waiting[ready:]
            yield list(map(self._counted, taken))

    def _begins_ms(self, serial: int) -> int:
        return self._began_ms + serial * self._span_ms // self._count

    def _counted(self, event: Event) -> Event:
        last_ms, counter = self._last.get(event.shard, (-1, 0))
        counter = counter + EVENTS_PER_ENTRY if event.at_ms == last_ms else 0
        self._last[event.shard] = (event.at_ms, counter)
        return replace(event, position=Position(event.at_ms, counter))

    def _events(self, serial: int) -> Iterator[Event]:
        chance = self._random
        number = BUSY if chance.random() < 0.01 else f"+1312{chance.randrange(self._numbers) + 6_000_000:07}"
        ref = self._ring.ids.new(self._ring.ids.number_hash(number), chance.randbytes(10))
        app = chance.choices(list(APPS), list(APPS.values()))[0]
        login = Login(
            ref,
            app,
            f"+1******{number[-4:]}",
            self._begins_ms(serial),
            self._serial + serial,
        )
        for n, (after_ms, kind, detail) in enumerate(_steps(chance, login.serial), 1):
            yield login.event(n, after_ms, kind, detail)


def _steps(chance: random.Random, serial: int) -> Steps:
    address = f"198.51.{chance.randrange(256)}.{chance.randrange(256)}"
    seen: dict[str, object] = {"client_ip": address, "country": "US"}
    steps: Steps = [
        (0, EventType.STARTED, {"channel": "sms", "purpose": "login", **seen}),
        (0, EventType.QUEUED, {"sender": "pool", "reason": "first"}),
        (30, EventType.SENDING, {"attempt": 1}),
        (250, EventType.SENT, {"message_id": f"{serial:08x}-7c1d-4d5b-9c3e-{serial:012x}", "parts": 1}),
    ]
    if chance.random() < 0.8:
        steps.append((4_000, EventType.DELIVERED, {"status": "delivered", "cost": "0.0040"}))
    if chance.random() < 0.15:
        steps.append((15_000, EventType.CHECK_FAILED, {"checks_left": 4, **seen}))
    if chance.random() < 1 / 2_000:
        steps.append((16_000, RARE, {"keyword": "STOP", "messaging_profile_id": "profile-z"}))
    if chance.random() < 0.7:
        return [*steps, (20_000, EventType.APPROVED, {"took_s": 20})]
    return [*steps, (600_000, EventType.EXPIRED, {"checks_left": 4})]
