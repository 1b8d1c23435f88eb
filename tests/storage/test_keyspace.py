"""The keyspace: scripts touch the keys they declare and no other, what should end ends, nothing tells a secret."""

import itertools
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from redis.exceptions import ResponseError

from otp_service.domain.audit import EventType
from otp_service.domain.callback import Callback
from otp_service.domain.circuit import Fault, Fine, Hold, Source
from otp_service.domain.delivery import Accepted, Action, NotSent, Receipt, Refused, Unknown
from otp_service.domain.operation import Alarm, Approved, Cursor, Denial, Due, OptOut
from otp_service.domain.policy import TOMBSTONE_MS, Limit
from otp_service.domain.verification import Reference
from otp_service.storage.alarms import Alarms
from otp_service.storage.api_keys import ApiKeys
from otp_service.storage.callbacks import Callbacks
from otp_service.storage.client import Store, dead_shards, fix_shards
from otp_service.storage.cursors import Cursors
from otp_service.storage.keyrings import Keyrings
from otp_service.storage.limits import Place
from otp_service.storage.scripts import Scripts, load

from .house import BANK, CODE, SHOP, WRONG, House, fresh_number, word

LUA = files("otp_service.storage") / "lua"
SCRIPTS = sorted(path.name[:-4] for path in LUA.iterdir() if path.name.endswith(".lua") and path.name[0] != "_")
ENDLESS = (
    r"otp:\{s..\}:(outbox|dead|timers|audit|optedout)$",
    r"otp:\{s..\}:optouts:",
    r"otp:\{meta\}:(shards|index_keys|key_ids)$",
    r"otp:\{keys\}:",
    r"otp:\{sync\}:cursor:",
    r"otp:\{alerts\}:due$",
)
"""The keys that `keys.py` documents as having no TTL."""
NEXT = Refused("40002", "Spam", Action.NEXT_SENDER)
BLOCKED = Refused("40300", "Blocked", Action.STOP_PERSON, opted_out=True)


class Spy(Scripts):
    """Marks in the server's own log where each script begins and ends, and remembers what it declared."""

    def __init__(self, store: Store, marker: "redis.Redis") -> None:
        super().__init__(store)
        self._marker = marker
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    def run(self, name: str, keys: Sequence[str], args: Sequence[str | int], *, repeat: bool = True) -> Any:
        """Run between two marks."""
        self.calls.append((name, tuple(keys)))
        self._marker.echo(f"begin {len(self.calls) - 1}")
        try:
            return super().run(name, keys, args, repeat=repeat)
        finally:
            self._marker.echo("end")


def plain(url: str) -> "redis.Redis":
    """A client of the very node, cluster or not."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return redis.Redis(unix_socket_path=parts.path, decode_responses=True)
    return redis.Redis(host=parts.hostname or "", port=parts.port or 0, decode_responses=True)


def stories(house: House) -> Iterator[Reference]:
    """Every operation in every outcome that writes, on many numbers; each verification as it ends."""
    app = replace(SHOP, starts_per_number=(Limit(50, 60_000),))

    def started(**changes: Any) -> Reference:
        return house.start(fresh_number(), app, **changes).reference

    yield from checks(house, app)
    yield from loops(house, app)
    # sent again, refused in all ways
    number = fresh_number()
    ref = house.start(number, app, context={"amount": "10"}).reference
    house.refused(number, app)
    house.refused(number, app, context={"amount": "10"})
    house.cool(ref)
    house.start(number, app, context={"amount": "10"})
    house.age(ref, 700_000)
    house.start(number, app)
    house.refused(number, replace(app, starts_per_number=(Limit(1, 60_000),)), purpose="x")
    house.refused(number, app, purpose="x", queue_max=1)
    yield ref
    # the ways of a delivery
    ref = started()
    job = house.take(ref)
    house.begin(job, body="")
    house.must_begin(job, app)
    house.outbox.retry_later(job, 1_000, NotSent("connect"))
    job = house.requeue(ref)
    house.must_begin(job, app)
    house.outbox.unknown(job, 1_000, Unknown("timeout"))
    job = house.requeue(ref)
    house.must_begin(job, app)
    house.outbox.refused(job, NEXT)
    second = house.take(ref)
    house.outbox.wait_turn(second, 1_000)
    second = house.requeue(ref, 2)
    house.must_begin(second, app)
    house.outbox.accepted(second, Accepted("m2", "queued"))
    for status in ("sent", "delivery_failed", "delivered"):
        house.apply(ref, status, "m2", 2)
    house.apply(ref, "delivered", "foreign", 2)
    house.outbox.note_click(ref, 2, word("evt"))
    yield ref
    ref = started()
    house.send(ref, "m1")
    house.raw.zadd(house.keys.timers(house.keys.shard(ref.number_hash)), {f"p:{ref.delivery_id(1)}": 1})
    house.outbox.claim_poll(Due(house.keys.shard(ref.number_hash), "p", ref, 1))
    house.apply(ref, "delivery_failed", "m1")
    job = house.take(ref)
    house.must_begin(job, app)
    house.outbox.refused(job, BLOCKED)
    yield ref
    for stop in ("cancel", "expire", "opt out", "impossible"):
        ref = started()
        job = house.take(ref)
        if stop == "cancel":
            house.verifications.cancel(word(), ref, "shop")
        elif stop == "expire":
            house.age(ref, 300_000)
        elif stop == "opt out":
            entry = OptOut("profile-a", True, 1, "STOP", "inbound")
            house.optouts.put(ref.number_hash, "+1", entry, word("evt"))
            house.optouts.put(ref.number_hash, "+1", replace(entry, opted_out=False), word("evt"))
            house.optouts.put(ref.number_hash, "+1", replace(entry, at_ms=2), word("evt"))
            house.optouts.note_unclear(ref.number_hash, "+1", "profile-a")
            for standing in list(house.optouts.standing("profile-a")):
                house.optouts.lift("profile-a", standing)
        if stop == "impossible":
            house.outbox.impossible(job, "sender_missing", "gone")
        else:
            house.begin(job, app)
        house.verifications.expire(ref)
        yield ref


def loops(house: House, app: Any) -> Iterator[Reference]:
    """The ways in which a delivery's loop is closed: in time, at the end, by the person."""

    def due(ref: Reference, kind: str, ordinal: int = 1) -> Due:
        shard = house.keys.shard(ref.number_hash)
        house.raw.zadd(house.keys.timers(shard), {f"{kind}:{ref.delivery_id(ordinal)}": 1})
        return Due(shard, kind, ref, ordinal)

    ref = house.start(fresh_number(), app).reference  # never left
    house.outbox.hand_back(house.take(ref), "key_unknown", "no key", 1_000, may_fall=False)
    house.outbox.requeue(due(ref, "r"))
    for _ in range(2):  # the next sender has it, and then waits
        house.outbox.held(house.take(ref), "sender_down", "connect", 1_000)
    yield ref
    ref = house.start(fresh_number(), app).reference  # never left, and the next sender has it
    house.outbox.fall_over(due(ref, "f"))
    yield ref
    ref = house.start(fresh_number(), app).reference  # lies in the carrier's queue
    house.send(ref, "m3")
    house.outbox.fall_over(due(ref, "f"))
    house.apply(ref, "queued", "m3")
    house.outbox.fall_over(due(ref, "f"))
    blocked = Receipt("m3", "+1", "delivery_failed", error=BLOCKED)
    house.tell(ref, blocked, event=word("evt"))
    yield ref
    ref = house.start(fresh_number(), app).reference  # the answer is lost
    job = house.take(ref)
    house.must_begin(job, app)
    house.outbox.fall_over(due(ref, "f"))
    house.outbox.unknown(job, 1_000, Unknown("timeout"))
    house.outbox.fall_over(due(ref, "f"))
    house.outbox.requeue(due(ref, "r"))
    for job in [job for job in house.jobs(ref) if job.reference == ref and job.ordinal == 1]:
        house.begin(job, app)
    house.outbox.close(due(ref, "c"))
    house.age(ref, 400_000)
    for ordinal in (1, 2):
        house.outbox.close(due(ref, "c", ordinal))
    yield ref
    number = fresh_number()
    ref = house.start(number, app).reference
    house.send(ref, "m4")
    house.apply(ref, "delivered", "m4")
    for _ in range(2):
        denial = Denial(
            frozenset({"shop"}), frozenset({"pool"}), house.now(), house.verifications.first_heard(ref.number_hash, "e")
        )
        house.verifications.deny(ref, denial)
    house.cool(ref)
    house.start(number, app)  # the one that reached the person goes first
    yield ref


def checks(house: House, app: Any) -> Iterator[Reference]:
    """Guesses in all outcomes, and a receipt's way."""
    ref = house.start(fresh_number(), app).reference
    house.check(ref, WRONG, app)
    house.check(ref, CODE, app, receipt_id="r", by_purpose="login")
    house.check(ref, CODE, app)
    for _ in range(2):
        house.verifications.redeem(word(), ref, "shop", "r", house.now() + 60_000)
    house.verifications.redeem(word(), ref, "shop", "x", house.now() + 60_000)
    yield ref
    ref = house.start(fresh_number(), app).reference
    for _ in range(6):
        house.check(ref, WRONG, app)
    house.check(ref, CODE, BANK)
    yield ref
    ref = house.start(fresh_number(), app).reference
    house.age(ref, 300_000)
    house.check(ref, CODE, app)
    yield ref


def other_places(house: House) -> None:
    """What has no number."""
    house.raw.xadd(house.keys.outbox(3), {"dlv": "nonsense"})
    house.raw.zadd(house.keys.timers(3), {"r:nonsense": 1})
    house.outbox.take([3], 10, 0.001)
    house.outbox.due(10)
    marks = Keyrings(house.store, house.keys)
    marks.claim(house.ring.fingerprint)
    marks.register(house.ring.kids)
    place = Place("app", "shop", Limit(2, 60_000))
    for _ in range(3):
        house.limits.take([place])
    house.limits.give_back([place])
    house.outbox.pace("pool", 50.0, 1_000)
    house.idempotency.look("d1", "f")
    house.idempotency.reserve("d1", "f", "o")
    house.idempotency.complete("d1", "o", 200, "{}")
    house.idempotency.reserve("d2", "f", "o")
    house.audit.note(EventType.WEBHOOK_REJECTED, {"reason": "x"}, throttle_ms=1_000)
    cursors = Cursors(house.store, house.scripts, house.keys)
    cursors.take("me", force=False)
    cursors.save("me", "profile-a", Cursor(1, 2, 3))
    cursors.end("me", 60_000)
    cursors.take("me", force=False)
    cursors.take("you", force=True)
    alarms = Alarms(house.store, house.scripts, house.keys)
    alarms.raise_("trouble", "a text")
    alarms.raise_("trouble", "a text")
    alarms.claim()
    callbacks(house)
    api_keys = ApiKeys(
        house.store,
        house.scripts,
        house.keys,
        house.audit,
        token_hex=secrets.token_hex,
        token_urlsafe=secrets.token_urlsafe,
    )
    made = api_keys.create("shop", ["verify"], 60_000)
    assert api_keys.rotate(made.id, 0)
    assert api_keys.revoke(made.id)
    house.audit.trim(60_000)
    house.circuits.hold(Hold("profile:z", "40333", "spent", None, 1, after=1), word())
    house.circuits.hold(Hold("sender:z", "40013", "rejected", 1, 1), word())
    house.circuits.hold(Hold("sender:z", "40013", "rejected", 1, 1, source=Source.REPORT), word())
    house.circuits.delivered(["sender:z"])
    for _ in range(5):
        house.circuits.fault(Fault("sender:z", "connect"), word())
    house.circuits.pass_through(["sender:z"])
    house.raw.hset(house.keys.circuit("sender:z"), mapping={"until": 1, "probe": 1})
    House(house.store, house.keys, house.scripts, house.ring).circuits.pass_through(["sender:z"])
    house.circuits.fine(Fine("sender:z"), probe=False)
    house.circuits.fault(Fault("sender:z", "connect"), word())
    house.circuits.fault(Fault("sender:y", "connect"), word())
    house.circuits.fine(Fine("sender:y"), probe=False)
    house.tallies.count("pool", delivered=True)
    house.tallies.report({"pool": (0.5, None)})
    house.tallies.may_ask()
    fix_shards(house.store, house.keys)
    dead_shards(house.store, house.keys)


def callbacks(house: House) -> None:
    """An app's queue: sent, failed, dead, replayed, crowded out."""
    queue = Callbacks(house.store, house.scripts, house.keys, most_waiting=2, most_dead=1)
    for number in range(5):
        queue.put(Callback(f"evt_00-{number}-0", "shop", "verification.started", "vrf_x", "{}"))
        queue.put(Callback(f"evt_00-{number}-0", "shop", "verification.started", "vrf_x", "{}"))
    for number in range(3):
        taken = queue.claim("shop")
        if taken is not None and number == 0:
            queue.again(taken, 1, 0, "status 500")
        elif taken is not None and number == 1:
            queue.sent(taken)
    queue.replay("shop", None)
    taken = queue.claim("shop")
    assert taken is not None
    queue.bury(taken, 1_000, "status 410")
    queue.claim("shop")


def test_scripts_touch_the_keys_they_declare_and_no_other(store_url: str) -> None:
    """Seen in the server's own log: of every script in the package, each key used is one of its KEYS."""
    marker = plain(store_url)
    house = House.open(store_url, lambda store: Spy(store, marker))
    house.outbox.open()
    used: dict[str, set[str]] = {name: set() for name in SCRIPTS}
    with plain(store_url) as client, client.monitor() as monitor:
        for _ in stories(house):
            pass
        other_places(house)
        marker.echo("over")
        inside: tuple[str, tuple[str, ...]] | None = None
        while True:
            seen = monitor.next_command()
            words = _words(seen["command"])
            if words[0].upper() == "ECHO":
                if words[1] == "over":
                    break
                inside = _spy(house).calls[int(words[1].split()[1])] if words[1] != "end" else None
            elif seen["client_type"] == "lua" and words[0].upper() != "TIME":
                assert inside is not None, words
                assert words[1] in inside[1], f"{inside[0]} uses {words[1]}, which is none of its KEYS"
                used[inside[0]].add(words[0].upper())
    house.close()
    marker.close()
    assert [name for name, commands in used.items() if not commands] == []


def _spy(house: House) -> Spy:
    assert isinstance(house.scripts, Spy)
    return house.scripts


def _words(command: str) -> list[str]:
    # MONITOR's line as redis-py gives it: words joined by blanks; ours have none in command, key or the mark's number.
    return command.split(" ", 2) if not command.upper().startswith("ECHO") else ["ECHO", command[5:]]


def test_a_key_of_a_verification_stays_in_its_numbers_slot(house: House) -> None:
    """Everything of one number carries one hash tag, and one only."""
    for ref in stories(house):
        tag = f"otp:{{s{house.keys.shard(ref.number_hash):02x}}}:"
        mine = [key for key in house.all_keys() if ref.body in key or ref.number_hash in key]
        assert all(key.startswith(tag) for key in mine)


@pytest.mark.cluster
def test_a_cluster_refuses_a_script_that_leaves_its_slot(cluster_server: Any) -> None:
    """The `#!lua` line makes the server itself refuse; without it a stray key would go unseen."""
    stray = "#!lua\nreturn redis.call('SET', 'otp:{s01}:stray', '1')"
    with pytest.raises(ResponseError, match=r"(?i)slot|non.local"):
        cluster_server.eval(stray, 1, "otp:{s00}:x")
    assert all(load(name).text.startswith("#!lua\n") for name in SCRIPTS)
    assert not cluster_server.exists("otp:{s01}:stray")


def test_every_key_ends_by_itself_but_those_that_say_so(house: House) -> None:
    """Whatever happens to a verification, its keys have a TTL: the record's at most its end and 24 hours."""
    for ref in stories(house):
        for key in (house.keys.record(ref), house.keys.timeline(ref)):
            assert 0 < house.raw.pttl(key) <= 600_000 + TOMBSTONE_MS
    other_places(house)
    endless = [key for key in house.all_keys() if house.raw.pttl(key) == -1]
    assert [key for key in endless if not any(re.match(pattern, key) for pattern in ENDLESS)] == []


def test_nothing_that_has_gone_comes_back_without_an_end(house: House) -> None:
    """Late writes to a verification whose keys are gone (deleted or expired) make no key that would stay for ever."""
    for ref in list(stories(house)):
        house.raw.delete(house.keys.record(ref), house.keys.secrets(ref), house.keys.timeline(ref))
        shard = house.keys.shard(ref.number_hash)
        stream = house.raw.xadd(house.keys.outbox(shard), {"dlv": ref.delivery_id(1)})
        assert stream
        for job in [job for job in house.jobs(ref) if job.reference == ref]:
            house.begin(job)
            house.outbox.accepted(job, Accepted("late", "queued"))
            house.outbox.refused(job, NEXT)
            house.outbox.unknown(job, 1, Unknown("x"))
        house.apply(ref, "delivered")
        house.outbox.note_click(ref, 1, word("evt"))
        house.check(ref, CODE)
        house.verifications.cancel(word(), ref, "shop")
        house.verifications.expire(ref)
        house.verifications.redeem(word(), ref, "shop", "r", house.now() + 9_999)
        for kind in ("r", "p", "f", "c"):
            house.raw.zadd(house.keys.timers(shard), {f"{kind}:{ref.delivery_id(1)}": 1})
        house.outbox.requeue(Due(shard, "r", ref, 1))
        house.outbox.claim_poll(Due(shard, "p", ref, 1))
        house.outbox.fall_over(Due(shard, "f", ref, 1))
        house.outbox.close(Due(shard, "c", ref, 1))
        house.verifications.deny(ref, Denial(frozenset({"shop"}), frozenset({"pool"}), house.now(), house.now()))
        for timer in [timer for timer in house.timers(ref) if ref.body in timer]:
            house.raw.zadd(house.keys.timers(shard), {timer: 1})
        for due in house.outbox.due(1_000):
            {"r": house.outbox.requeue, "c": house.outbox.close, "f": house.outbox.fall_over}[due.kind](due)
        gone = (house.keys.record(ref), house.keys.secrets(ref), house.keys.timeline(ref))
        assert [key for key in gone if house.raw.exists(key)] == []
        assert not [timer for timer in house.timers(ref) if ref.body in timer]


def test_a_store_that_is_searched_tells_no_secret(house: House) -> None:
    """Fifty flows with known codes, numbers and API keys: no key and no value, raw or as dumped, holds one of them."""
    tokens = itertools.count(1)
    keys = ApiKeys(
        house.store,
        house.scripts,
        house.keys,
        house.audit,
        token_hex=lambda n: f"{next(tokens):0{2 * n}x}",
        token_urlsafe=lambda n: f"canary{next(tokens)}".ljust(43, "k"),
    )
    canaries = []
    for flow in range(50):
        number, code = f"+1415{7_000_000 + flow * 7919}", f"{900_000 + flow * 1_931}"
        api_key = keys.create("shop", ["verify"], None).key
        canaries += [number, number[1:], number[2:], code, api_key, api_key.split("_")[2]]
        ref = house.start(number, code=code, context={"amount": f"canary-amount-{flow}"}).reference
        canaries.append(f"canary-amount-{flow}")
        house.must_begin(house.take(ref), body=house.ring.seal(f"to={number} text={code}".encode()))
        if flow % 3:
            house.check(ref, f"{int(code) + 1}", context={"amount": f"canary-amount-{flow}"})
            canaries.append(f"{int(code) + 1}")
        if flow % 2:
            done = house.check(ref, code, context={"amount": f"canary-amount-{flow}"})
            assert isinstance(done, Approved)
    raw = house.open_raw()
    haystack = b"\n".join(part for key in raw.scan_iter(count=1000) for part in (key, raw.dump(key) or b""))
    text = repr(house.snapshot())
    raw.close()
    assert len(text) > 50_000
    # Six digits may stand in a time or a hash by chance; a whole word of digits may not.
    for canary in canaries:
        pattern = rf"(?<![0-9a-f]){re.escape(canary)}(?![0-9a-f])"
        assert not re.search(pattern, text), canary
        if len(canary) > 6:
            assert canary.encode() not in haystack, canary


def test_an_alarm_is_told_once_and_is_not_lost(house: House) -> None:
    """One trouble is one alert in a while; a claimed one comes again unless it is done."""
    alarms = Alarms(house.store, house.scripts, house.keys)
    assert [alarms.raise_("auth", "text"), alarms.raise_("auth", "text"), alarms.raise_("other", "more")] == [
        True,
        False,
        True,
    ]
    first, second = alarms.claim(), alarms.claim()
    assert isinstance(first, Alarm)
    assert isinstance(second, Alarm)
    assert {first.text, second.text} == {"text", "more"}
    assert alarms.claim() is None
    alarms.done(first)
    assert house.raw.zcard(house.keys.alarms()) == 1
    (member,) = house.raw.zrange(house.keys.alarms(), 0, -1)
    house.raw.zadd(house.keys.alarms(), {member: 1})
    assert alarms.claim() == second
    old = "1-x\x1fancient"
    house.raw.zadd(house.keys.alarms(), {old: 1})
    assert alarms.claim() is None
    assert house.raw.zscore(house.keys.alarms(), old) is None


def test_one_process_reads_the_carriers_list(house: House) -> None:
    """The lease is one's, the cursor moves by its owner only, and after the end the list rests."""
    cursors = Cursors(house.store, house.scripts, house.keys)
    assert cursors.take("me", force=False) == 0
    assert cursors.take("me", force=False) == 0
    assert cursors.take("you", force=True) > 0
    assert cursors.load("profile") == Cursor()
    assert not cursors.save("you", "profile", Cursor(9, 9, 9))
    assert cursors.save("me", "profile", Cursor(1, 2, 3))
    assert cursors.load("profile") == Cursor(1, 2, 3)
    cursors.end("you", 60_000)
    assert cursors.take("you", force=True) > 0
    cursors.end("me", 60_000)
    assert 0 < cursors.take("you", force=False) <= 60_000
    assert cursors.take("you", force=True) == 0
