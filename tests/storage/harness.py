"""All store classes over one server, and short helpers for what the tests do with them."""

import functools
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import redis

from otp_service.domain import codes
from otp_service.domain.checking import CheckAnswer, CheckCommand, LatestAnswer
from otp_service.domain.delivery import Accepted, DeliveryReport
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job, PendingDelivery, SendPermit, Timer
from otp_service.domain.policy import App, Channel, Limit, NumberLimits, Sender, SenderKind, Template
from otp_service.domain.starting import StartCommand, Started, StartRefused
from otp_service.keyring import Keyring, create, parse
from otp_service.storage.audit_entries import events_of
from otp_service.storage.audit_log import AuditLog
from otp_service.storage.circuits import Circuits
from otp_service.storage.connect import connect
from otp_service.storage.deliveries import Deliveries
from otp_service.storage.delivery_reports import DeliveryReports
from otp_service.storage.due_deliveries import DueDeliveries
from otp_service.storage.factors import FactorTable
from otp_service.storage.idempotency import Idempotency
from otp_service.storage.optouts import OptOuts
from otp_service.storage.outbox import Outbox
from otp_service.storage.readiness import clock_ms
from otp_service.storage.record_views import usual_detail
from otp_service.storage.schema import Keys
from otp_service.storage.script_files import Script, Value
from otp_service.storage.scripts import Scripts
from otp_service.storage.sender_rate import SenderRate
from otp_service.storage.sender_stats import SenderStats
from otp_service.storage.store import Store
from otp_service.storage.timers import Timers
from otp_service.storage.verifications import Verifications
from otp_service.usecases import sealed_box
from otp_service.usecases.sealed_box import Box
from otp_service.usecases.verify.digests import code_digest

from .records import Records
from .remembered import Remembered
from .slots import Slots

T = TypeVar("T")
SHARDS = 16
ALL_EXPORTED = dict.fromkeys(range(SHARDS), f"{2**52}-0")
"""For each shard an entry behind all: everything counts as being in the ledger."""

POOL = Sender("pool", SenderKind.NUMBER_POOL, "profile-a", None, 20.0)
BACKUP = Sender("backup", SenderKind.LONG_CODE, "profile-b", "+18445550001", 20.0)
SAME_PROFILE = Sender("same_profile", SenderKind.LONG_CODE, "profile-a", "+18445550002", 20.0)
WHATSAPP = Sender("whatsapp", SenderKind.WHATSAPP, "profile-a", "+18445550003", 20.0, Template("otp_code"))
SENDERS = (POOL, BACKUP, SAME_PROFILE, WHATSAPP)
RESEND_MS = (30_000, 60_000, 120_000)
SHOP = App("shop", "Acme", (POOL, BACKUP), resend_after_ms=RESEND_MS)
BANK = App("bank", "Bank", (POOL, BACKUP), resend_after_ms=RESEND_MS)
EVERYWHERE = NumberLimits()
UNCAPPED = NumberLimits(sends=())
CODE, WRONG = "314159", "271828"
_KEYRING_BYTES = create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z")
_counter, _numbers = itertools.count(1), itertools.count(1)


def keyring() -> Keyring:
    """The keyring of all storage tests."""
    return parse(_KEYRING_BYTES)


def fresh_number() -> str:
    """A number that no other test uses, in E.164, however many tests run."""
    area, line = divmod(next(_numbers), 10_000)
    return f"+1{(312, 415, 617, 202, 713, 206)[area]}555{line:04d}"


def word(prefix: str = "op") -> str:
    """A word that is used once."""
    return f"{prefix}{next(_counter)}"


def at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Run all jobs at the same moment, each in a thread of its own; their results in order. Re-raises a failure."""
    barrier = threading.Barrier(len(jobs))
    results: dict[int, T] = {}
    failures: list[BaseException] = []

    def run(index: int, job: Callable[[], T]) -> None:
        try:
            barrier.wait(30)
            results[index] = job()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=item) for item in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [results[index] for index in range(len(jobs))]


class Twice(Scripts):
    """Runs every script twice and gives the second reply, as after a lost reply."""

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        super()._run(script, keys, args, repeat=repeat)
        return super()._run(script, keys, args, repeat=repeat)


class Confused(Scripts):
    """Gives replies that belong to somebody else's operation."""

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        reply = super()._run(script, keys, args, repeat=repeat)
        return ["another", *reply[1:]] if isinstance(reply, list) else reply


@dataclass
class StoreHarness(Remembered, Records):
    """All store classes over one server."""

    store: Store
    keys: Keys
    scripts: Scripts
    ring: Keyring

    @classmethod
    def open(cls, place: str | Store, scripts: Callable[[Store], Scripts] = Scripts) -> "StoreHarness":
        """Connect as the service does, or take an open store."""
        store = connect(place) if isinstance(place, str) else place
        return cls(store, Keys(SHARDS), scripts(store), keyring())

    def __post_init__(self) -> None:
        ids = self.ring.ids
        self.verifications = Verifications(self.store, self.scripts, self.keys, ids)
        self.outbox = Outbox(self.store, self.scripts, self.keys, ids, consumer=word("worker-"))
        self.deliveries = Deliveries(self.store, self.scripts, self.keys, SENDERS)
        self.due_deliveries = DueDeliveries(self.scripts, self.keys, SENDERS)
        self.reports = DeliveryReports(self.store, self.scripts, self.keys, ids, SENDERS)
        self.due_timers = Timers(self.store, self.scripts, self.keys, ids)
        self.sender_rate = SenderRate(self.store, self.scripts, self.keys)
        self.optouts = OptOuts(self.store, self.scripts, self.keys)
        self.factors = FactorTable(self.store, self.scripts, self.keys, ids)
        self.limits = Slots.over(self.scripts, self.keys)
        self.idempotency = Idempotency(self.scripts, self.keys)
        self.audit = AuditLog(self.store, self.scripts, self.keys, lambda: 0.0)  # no page has a deadline
        self.circuits = Circuits(self.store, self.scripts, self.keys)
        self.sender_stats = SenderStats(self.store, self.scripts, self.keys)

    @functools.cached_property
    def raw(self) -> Any:
        """A bare client, which also stays with a demoted server."""
        if self.store.is_cluster:
            return self.store.client
        pool = self.store.client.connection_pool
        options = {name: value for name, value in pool.connection_kwargs.items() if name != "retry"}
        return redis.Redis.from_pool(redis.ConnectionPool(pool.connection_class, **options))

    def close(self) -> None:
        """Close all connections, those of the bare client as well."""
        if "raw" in self.__dict__:
            self.raw.close()
        self.store.close()

    def other_worker(self) -> Outbox:
        """The outbox as another process sees it."""
        return Outbox(self.store, self.scripts, self.keys, self.ring.ids, consumer=word("worker-"))

    def now(self) -> int:
        """The store's clock in milliseconds."""
        return clock_ms(self.store)

    def hash_of(self, number: str) -> str:
        """The number's keyed hash."""
        return self.ring.ids.number_hash(number)

    # ---- verifications ---------------------------------------------------------------------------------------------

    def start_command(self, number: str, app: App = SHOP, code: str = CODE, **changes: Any) -> StartCommand:
        """A command to start, as `usecases.verify` makes it."""
        context = changes.pop("context", None)
        ref = self.ring.ids.new(self.hash_of(number), word("").rjust(10, "r").encode()[-10:])
        ref = changes.pop("reference", ref)
        kid = self.ring.active_kid
        hashed = codes.context_hash(context)
        box = sealed_box.pack(ref, Box(number, code, context or {}))
        made = StartCommand(
            operation_id=word(),
            operation_ttl_ms=60_000,
            reference=ref,
            app=app,
            purpose="login",
            channel=Channel.SMS,
            mask=f"+1******{number[-4:]}",
            context_hash=hashed,
            kid=kid,
            digest=self.digest(ref, app, code, hashed),
            digest_by_number=self.digest(ref, app, code, hashed, changes.get("purpose", "login")),
            box=self.ring.seal(box),
            metadata="{}",
            locale="en",
            autofill="",
            route=app.route,
            healthy=tuple(sender.name for sender in app.route),
            queue_max=10_000,
            outer_wait_ms=0,
            detail=usual_detail(changes.get("purpose", "login"), changes.get("channel", Channel.SMS)),
        )
        return replace(made, **changes)

    def digest(self, ref: Reference, app: App, code: str, context_hash: str = "", purpose: str | None = None) -> str:
        """What a code's digest is for this verification; with a purpose, for a check by number."""
        pepper = self.ring.peppers[self.ring.active_kid]
        return code_digest(pepper, app, ref, context_hash, code, purpose=purpose)

    def start(self, number: str, app: App = SHOP, **changes: Any) -> Started:
        """Start, and fail if it is refused."""
        started = self.verifications.start(self.start_command(number, app, **changes))
        assert isinstance(started, Started), started
        return started

    def refused(self, number: str, app: App = SHOP, **changes: Any) -> StartRefused:
        """Start, and fail unless it is refused."""
        refused = self.verifications.start(self.start_command(number, app, **changes))
        assert isinstance(refused, StartRefused), refused
        return refused

    def guess(self, ref: Reference, code: str, app: App = SHOP, **changes: Any) -> CheckCommand:
        """A command to check."""
        hashed = codes.context_hash(changes.pop("context", None))
        digests = {self.ring.active_kid: self.digest(ref, app, code, hashed)}
        made = CheckCommand(word(), ref, app, receipt_id=word("receipt"), digests=digests)
        return replace(made, **changes)

    def check(self, ref: Reference, code: str, app: App = SHOP, **changes: Any) -> CheckAnswer:
        """Judge one guess."""
        return self.verifications.check(self.guess(ref, code, app, **changes))

    def check_latest(self, number_hash: str, code: str, app: App = SHOP, purpose: str = "login") -> LatestAnswer | None:
        """Judge one guess by number."""
        nobody = Reference("", number_hash)
        digests = {self.ring.active_kid: self.digest(nobody, app, code, purpose=purpose)}
        return self.verifications.check_latest(self.guess(nobody, code, app, digests=digests, by_purpose=purpose))

    def age(self, ref: Reference, ms: int, *others: Reference) -> None:
        """Make the verification look as if it had been started so much earlier (its keys' TTLs stay).

        The sends to its number become as much older. `others` are the number's other verifications, if they matter.
        """
        for one in (ref, *others):
            record = self.record(one)
            names = [name for name in record if name.startswith("sent_at_ms:")]
            moved = {name: str(int(record[name]) - ms) for name in ("created_ms", "expires_ms", "next_send_ms", *names)}
            self.set_record(one, moved)
        self.move_sends(ref.number_hash, lambda at_ms: at_ms - ms)

    def cool(self, ref: Reference) -> None:
        """End the cool-down now: the number's sends were made eleven minutes ago, and the ladder counts them still."""
        old = self.now() - 11 * 60_000
        record = self.record(ref)
        moved = {name: str(min(int(at), old)) for name, at in record.items() if name.startswith("sent_at_ms:")}
        if record:
            first = {"sent_at_ms:1": min(int(record["created_ms"]), old)}
            self.set_record(ref, {"next_send_ms": "0", **first, **moved})
        self.move_sends(ref.number_hash, lambda at_ms: min(at_ms, old))

    def age_wrong_codes(self, number_hash: str, ms: int, *apps: App) -> None:
        """Make the number's wrong codes so much older, in these apps and over all apps."""
        for app in (*(app.name for app in apps), None):
            self.set_wrong_codes(number_hash, app, [at_ms - ms for at_ms in self.wrong_codes(number_hash, app)])

    def events(self, ref: Reference) -> list[str]:
        """The types of the timeline's events in order."""
        return [entry.event for entry in self.verifications.timeline(ref)]

    def audited(self, ref: Reference) -> list[dict[str, str]]:
        """The audit events of the verification in order."""
        return [event for event in self.audited_of(ref.number_hash) if event["verification"] == ref.token]

    def audited_of(self, number_hash: str) -> list[dict[str, str]]:
        """The audit events about the number in order."""
        found = self.audited_in(self.keys.shard(number_hash))
        return [event for event in found if event.get("number_hash") == number_hash]

    def audited_in(self, shard: int) -> list[dict[str, str]]:
        """The audit events of a shard in order."""
        entries = self.raw.xrange(self.keys.audit(shard))
        return [dict(event.fields) for entry, fields in entries for event in events_of(shard, entry, fields)]

    # ---- deliveries ------------------------------------------------------------------------------------------------

    def status(self, ref: Reference, ordinal: int = 1) -> str:
        """Where a delivery stands."""
        return self.record(ref)[f"{ordinal}:status"]

    def take(self, ref: Reference, outbox: Outbox | None = None) -> Job:
        """Take what waits on the reference's shard; among it the one entry of this verification."""
        jobs = [job for job in self.jobs(ref, outbox) if job.reference == ref]
        assert len(jobs) == 1, jobs
        return jobs[0]

    def jobs(self, ref: Reference, outbox: Outbox | None = None) -> list[Job]:
        """Take the entries that wait on the reference's shard; does not wait for one (a server may block for 0.1 s)."""
        stream = self.keys.outbox(self.keys.shard(ref.number_hash))
        newest = self.raw.xinfo_stream(stream)["last-generated-id"]
        if newest == self.raw.xinfo_groups(stream)[0]["last-delivered-id"]:
            return []
        return (outbox or self.outbox).read_new([self.keys.shard(ref.number_hash)], 100, 0.001)

    def begin(
        self, job: Job, app: App = SHOP, body: str = "sealed", per_number: NumberLimits = EVERYWHERE
    ) -> SendPermit | None:
        """Write a try down."""
        return self.deliveries.begin_send(job, app.name, body, app.wrong_codes_per_number, per_number.wrong_codes)

    def must_begin(self, job: Job, app: App = SHOP, body: str = "sealed") -> SendPermit:
        """Write a try down, and fail if there is nothing to send."""
        permit = self.begin(job, app, body)
        assert permit is not None, "nothing to send"
        return permit

    def pending_delivery(self, job: Job) -> PendingDelivery:
        """The pending delivery, which has to exist."""
        pending = self.deliveries.pending_delivery(job)
        assert pending is not None
        return pending

    def send(self, ref: Reference, message_id: str = "msg-1") -> Job:
        """Take, begin and have it accepted."""
        job = self.take(ref)
        self.must_begin(job)
        self.deliveries.record_accepted(job, Accepted(message_id, "queued"))
        return job

    def requeue(self, ref: Reference, ordinal: int = 1) -> Job:
        """Let the retry's wait be over and take the entry that follows."""
        shard = self.keys.shard(ref.number_hash)
        self.raw.zadd(self.keys.timers(shard), {f"retry:{ref.delivery_id(ordinal)}": 1})
        assert self.due_deliveries.requeue(Timer(shard, "retry", ref, ordinal)), "nothing to put back"
        return self.take(ref)

    def waiting(self, ref: Reference) -> int:
        """Entries in the outbox of the reference's shard, taken or not."""
        return int(self.raw.xlen(self.keys.outbox(self.keys.shard(ref.number_hash))))

    def timers(self, ref: Reference) -> dict[str, float]:
        """The timers of the reference's shard."""
        return dict(self.raw.zrange(self.keys.timers(self.keys.shard(ref.number_hash)), 0, -1, withscores=True))

    def apply(self, ref: Reference, status: str, message_id: str = "msg-1", ordinal: int = 1) -> str:
        """Apply a report; its outcome."""
        return self.apply_report(ref, DeliveryReport(message_id, "+1", status), ordinal)

    def apply_report(self, ref: Reference, report: DeliveryReport, ordinal: int = 1) -> str:
        """Apply this very report; its outcome."""
        return self.reports.apply_report(ref, ordinal, ref.number_hash, report).outcome

    # ---- everything ------------------------------------------------------------------------------------------------

    def all_keys(self) -> list[str]:
        """Every key of the store."""
        return sorted(self.raw.scan_iter(count=1000))

    def content(self) -> Iterator[tuple[str, str]]:
        """Every key with everything it holds as text."""
        readers: Mapping[str, Callable[[str], Any]] = {
            "string": self.raw.get,
            "hash": self.raw.hgetall,
            "list": lambda key: self.raw.lrange(key, 0, -1),
            "set": self.raw.smembers,
            "zset": lambda key: self.raw.zrange(key, 0, -1, withscores=True),
            "stream": self.raw.xrange,
        }
        for key in self.all_keys():
            kind = self.raw.type(key)
            if kind != "none":
                yield key, repr(readers[kind](key))

    def open_raw(self) -> Any:
        """A client that reads bytes, for dumps."""
        pool = self.raw.get_default_node() if self.store.is_cluster else None
        if pool is not None:
            return redis.Redis(host=pool.host, port=pool.port)
        kwargs = {**self.raw.connection_pool.connection_kwargs, "decode_responses": False}
        return redis.Redis(unix_socket_path=kwargs["path"])

    def snapshot(self) -> dict[str, str]:
        """The content of everything, to compare."""
        return dict(self.content())


def limited(*limits: tuple[int, int], app: App = SHOP) -> App:
    """An app with these limits (count, ms) of wrong codes per number."""
    return replace(app, wrong_codes_per_number=tuple(Limit(*pair) for pair in limits))
