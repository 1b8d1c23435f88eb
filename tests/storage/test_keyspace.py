"""The keyspace: scripts touch the keys they declare and no other, and what should end ends."""

import itertools
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from redis.exceptions import ResponseError

from otp_service.domain.alert import Alert
from otp_service.domain.checking import Approved
from otp_service.domain.delivery import Accepted, Unknown
from otp_service.domain.denial import Denial
from otp_service.domain.optout_list import Cursor
from otp_service.domain.outbox import Timer
from otp_service.domain.policy import TOMBSTONE_MS
from otp_service.storage.alerts import Alerts
from otp_service.storage.api_keys import ApiKeys
from otp_service.storage.cursors import Cursors
from otp_service.storage.schema.keys import Keys
from otp_service.storage.schema.writers import OTHER_NAMES, method_of
from otp_service.storage.script_files import Script, Value, load, names
from otp_service.storage.scripts import Scripts
from otp_service.storage.store import Store

from .every_operation import NEXT, operations, other_places
from .harness import CODE, SHARDS, StoreHarness, word

SCRIPTS = names()
BUDGETS = {"total", "country", "blocks", "addresses"}
ENDLESS = (
    r"otp:\{s..\}:(outbox|dead|timers|audit|opted_out|run|webhooks)$",
    r"otp:\{s..\}:optouts:",
    r"otp:\{s..\}:subject:",
    r"otp:\{meta\}:(shards|index_keys|key_ids)$",
    r"otp:\{keys\}:",
    r"otp:\{sync\}:cursor:",
    r"otp:\{guards\}:safe_list$",
    r"otp:\{alerts\}:due$",
)
"""The keys that `keys.py` documents as having no TTL."""


class Spy(Scripts):
    """Marks in the server's own log where each script begins and ends, and remembers what it declared."""

    def __init__(self, store: Store, marker: "redis.Redis") -> None:
        super().__init__(store)
        self._marker = marker
        self.calls: list[tuple[Script, tuple[str, ...]]] = []

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        self.calls.append((script, tuple(keys)))
        self._marker.echo(f"begin {len(self.calls) - 1}")
        try:
            return super()._run(script, keys, args, repeat=repeat)
        finally:
            self._marker.echo("end")


class NamedKeys(Keys):
    """Remembers which method built a key."""

    def __init__(self, shards: int) -> None:
        super().__init__(shards)
        self.made: dict[str, str] = {}

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name.startswith("_") or not callable(value) or name == "shard":
            return value

        def build(*args: Any) -> Any:
            key = value(*args)
            self.made[key] = name
            return key

        return build


@pytest.fixture(scope="module")
def redis_url(own_redis_url: str) -> str:
    """What is counted is what these tests do, and nothing else."""
    return own_redis_url


def plain(url: str) -> "redis.Redis":
    """A client of the very node, cluster or not."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return redis.Redis(unix_socket_path=parts.path, decode_responses=True)
    return redis.Redis(host=parts.hostname or "", port=parts.port or 0, decode_responses=True)


def test_scripts_touch_the_keys_they_declare_and_no_other(store_url: str) -> None:
    """Seen in the server's own log, over everything that the scripts of the package do.

    Each key used is one of the script's KEYS and built by the method of `Keys` that the header names. What is written
    has its `!` in the header, and whatever has a `!` is written: what the dictionary says of writers is true.
    """
    marker = plain(store_url)
    keys = NamedKeys(SHARDS)
    opened = StoreHarness.open(store_url, lambda store: Spy(store, marker))
    harness = StoreHarness(opened.store, keys, opened.scripts, opened.ring)
    harness.outbox.open()
    writing = {name.upper() for name, command in marker.command().items() if "write" in command["flags"]}
    writing.add("XGROUP|SETID")
    used: dict[str, set[str]] = {name: set() for name in SCRIPTS}
    written: dict[str, set[str]] = {name: set() for name in SCRIPTS}
    with plain(store_url) as client, client.monitor() as monitor:
        for _ in operations(harness):
            pass
        other_places(harness)
        marker.echo("over")
        inside: tuple[Script, tuple[str, ...]] | None = None
        while True:
            seen = monitor.next_command()
            words = _words(seen["command"])
            if words[0].upper() == "ECHO":
                if words[1] == "over":
                    break
                inside = _spy(harness).calls[int(words[1].split()[1])] if words[1] != "end" else None
            elif seen["client_type"] == "lua" and words[0].upper() not in {"TIME", "INFO"}:
                assert inside is not None, words
                script, declared = inside
                key = declared_as(words[1], declared)
                assert key is not None, f"{script.name} uses {words[1]}, which is none of its KEYS"
                name = (*script.keys, *script.optional)[declared.index(key)]
                used[script.name].add(name)
                if words[0].upper() in writing:
                    written[script.name].add(name)
    harness.close()
    marker.close()
    assert [name for name, keys_used in used.items() if not keys_used] == []
    assert {name: names_ - load(name).written for name, names_ in written.items() if names_ - load(name).written} == {}
    unwritten = {name: load(name).written - names_ for name, names_ in written.items() if load(name).written - names_}
    # In a Cluster the budgets of the guard are on another server: starts do not ask them, checks do not give back.
    of_numbers = {"verification/start": BUDGETS, "verification/check": BUDGETS}
    assert unwritten == (of_numbers if harness.store.is_cluster else {})
    for script, declared in _spy(harness).calls:
        for name, key in zip((*script.keys, *script.optional), declared, strict=False):
            method = keys.made[key]
            if name in BUDGETS and method == "number":
                continue  # stands in for a budget that is not asked
            assert method == method_of(name) or script.name in OTHER_NAMES.get(method, ()), (script.name, name, key)


def declared_as(key: str, declared: Sequence[str]) -> str | None:
    """The key of KEYS that this one is, or that it completes: a check by number finds the id in the script."""
    return next((one for one in declared if key == one or (one.endswith(":") and key.startswith(one))), None)


def _spy(harness: StoreHarness) -> Spy:
    assert isinstance(harness.scripts, Spy)
    return harness.scripts


def _words(command: str) -> list[str]:
    if command.upper().startswith(("XGROUP ", "XINFO ")):
        command = command.replace(" ", "|", 1)
    # MONITOR's line as redis-py gives it: words joined by blanks; ours have none in command, key or the mark's number.
    return command.split(" ", 2) if not command.upper().startswith("ECHO") else ["ECHO", command[5:]]


def test_a_key_of_a_verification_stays_in_its_numbers_slot(harness: StoreHarness) -> None:
    """Everything of one number carries one hash tag, and one only."""
    for ref in operations(harness):
        tag = f"otp:{{s{harness.keys.shard(ref.number_hash):02x}}}:"
        mine = [key for key in harness.all_keys() if ref.token in key or ref.number_hash in key]
        assert all(key.startswith(tag) for key in mine)


@pytest.mark.cluster
def test_a_cluster_refuses_a_script_that_leaves_its_slot(cluster_server: Any) -> None:
    """The `#!lua` line makes the server itself refuse; without it a stray key would go unseen."""
    stray = "#!lua\nreturn redis.call('SET', 'otp:{s01}:stray', '1')"
    with pytest.raises(ResponseError, match=r"(?i)slot|non.local"):
        cluster_server.eval(stray, 1, "otp:{s00}:x")
    assert all(load(name).text.startswith("#!lua\n") for name in SCRIPTS)
    assert not cluster_server.exists("otp:{s01}:stray")


def test_every_key_ends_by_itself_but_those_that_say_so(harness: StoreHarness) -> None:
    """Whatever happens to a verification, its keys have a TTL: the record's at most its end and 24 hours."""
    for ref in operations(harness):
        assert 0 < harness.raw.pttl(harness.keys.record(ref)) <= 600_000 + TOMBSTONE_MS
    other_places(harness)
    endless = [key for key in harness.all_keys() if harness.raw.pttl(key) == -1]
    assert [key for key in endless if not any(re.match(pattern, key) for pattern in ENDLESS)] == []


def test_nothing_that_has_gone_comes_back_without_an_end(harness: StoreHarness) -> None:
    """Late writes to a verification whose keys are gone (deleted or expired) make no key that would stay for ever."""
    for ref in list(operations(harness)):
        harness.raw.delete(harness.keys.record(ref), harness.keys.secrets(ref))
        shard = harness.keys.shard(ref.number_hash)
        stream = harness.raw.xadd(harness.keys.outbox(shard), {"delivery": ref.delivery_id(1)})
        assert stream
        for job in [job for job in harness.jobs(ref) if job.reference == ref]:
            harness.begin(job)
            harness.deliveries.record_accepted(job, Accepted("late", "queued"))
            harness.deliveries.record_refused(job, NEXT)
            harness.deliveries.record_unknown(job, 1, Unknown("x"))
        harness.apply(ref, "delivered")
        harness.reports.record_click(ref, 1, word("evt"))
        harness.check(ref, CODE)
        harness.verifications.cancel(word(), ref, "shop")
        harness.verifications.expire(ref)
        harness.verifications.redeem(word(), ref, "shop", "r", harness.now() + 9_999)
        for kind in ("retry", "poll", "failover", "closing"):
            harness.raw.zadd(harness.keys.timers(shard), {f"{kind}:{ref.delivery_id(1)}": 1})
        harness.due_deliveries.requeue(Timer(shard, "retry", ref, 1))
        harness.due_deliveries.claim_poll(Timer(shard, "poll", ref, 1))
        harness.due_deliveries.claim_failover(Timer(shard, "failover", ref, 1))
        harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, 1))
        harness.verifications.deny(ref, Denial(frozenset({"shop"}), frozenset({"pool"}), harness.now(), harness.now()))
        for timer in [timer for timer in harness.timers(ref) if ref.token in timer]:
            harness.raw.zadd(harness.keys.timers(shard), {timer: 1})
        for due in harness.due_timers.due(1_000):
            {
                "expiry": lambda due: harness.verifications.expire(due.reference),
                "retry": harness.due_deliveries.requeue,
                "closing": harness.due_deliveries.close_delivery,
                "failover": harness.due_deliveries.claim_failover,
            }[due.kind](due)
        gone = (harness.keys.record(ref), harness.keys.secrets(ref))
        assert [key for key in gone if harness.raw.exists(key)] == []
        assert not [timer for timer in harness.timers(ref) if ref.token in timer]


def test_a_search_through_the_store_finds_no_secret(harness: StoreHarness) -> None:
    """Fifty flows with known codes, numbers and API keys: no key and no value, raw or as dumped, holds one of them."""
    tokens = itertools.count(1)
    keys = ApiKeys(
        harness.store,
        harness.scripts,
        harness.keys,
        harness.audit,
        token_hex=lambda n: f"{next(tokens):0{2 * n}x}",
        token_urlsafe=lambda n: f"canary{next(tokens)}".ljust(43, "k"),
    )
    canaries = []
    for flow in range(50):
        number, code = f"+1415{7_000_000 + flow * 7919}", f"{900_000 + flow * 1_931}"
        api_key = keys.create("shop", ["verify"], None).key
        canaries += [number, number[1:], number[2:], code, api_key, api_key.split("_")[2]]
        ref = harness.start(number, code=code, context={"amount": f"canary-amount-{flow}"}).reference
        canaries.append(f"canary-amount-{flow}")
        harness.must_begin(harness.take(ref), body=harness.ring.seal(f"to={number} text={code}".encode()))
        if flow % 3:
            harness.check(ref, f"{int(code) + 1}", context={"amount": f"canary-amount-{flow}"})
            canaries.append(f"{int(code) + 1}")
        if flow % 2:
            done = harness.check(ref, code, context={"amount": f"canary-amount-{flow}"})
            assert isinstance(done, Approved)
    raw = harness.open_raw()
    haystack = b"\n".join(part for key in raw.scan_iter(count=1000) for part in (key, raw.dump(key) or b""))
    text = repr(harness.snapshot())
    raw.close()
    assert len(text) > 50_000
    # Six digits may stand in a time or a hash by chance; a whole word of digits may not.
    for canary in canaries:
        pattern = rf"(?<![0-9a-f]){re.escape(canary)}(?![0-9a-f])"
        assert not re.search(pattern, text), canary
        if len(canary) > 6:
            assert canary.encode() not in haystack, canary


def test_an_alert_is_sent_once_and_is_not_lost(harness: StoreHarness) -> None:
    """One trouble is one alert in a while; a claimed one comes again unless it is done."""
    alerts = Alerts(harness.store, harness.scripts, harness.keys)
    assert [
        alerts.raise_alert("auth", "text"),
        alerts.raise_alert("auth", "text"),
        alerts.raise_alert("other", "more"),
    ] == [
        True,
        False,
        True,
    ]
    first, second = alerts.claim(), alerts.claim()
    assert isinstance(first, Alert)
    assert isinstance(second, Alert)
    assert {first.text, second.text} == {"text", "more"}
    assert alerts.claim() is None
    alerts.acknowledge(first)
    assert harness.raw.zcard(harness.keys.alerts()) == 1
    (member,) = harness.raw.zrange(harness.keys.alerts(), 0, -1)
    harness.raw.zadd(harness.keys.alerts(), {member: 1})
    assert alerts.claim() == second
    old = "1-x\x1fancient"
    harness.raw.zadd(harness.keys.alerts(), {old: 1})
    assert alerts.claim() is None
    assert harness.raw.zscore(harness.keys.alerts(), old) is None


def test_one_process_reads_the_carriers_list(harness: StoreHarness) -> None:
    """The lease is one's, the cursor moves by its owner only, and after the end the list rests."""
    cursors = Cursors(harness.store, harness.scripts, harness.keys)
    assert cursors.acquire_lease("me", force=False) == 0
    assert cursors.acquire_lease("me", force=False) == 0
    assert cursors.acquire_lease("you", force=True) > 0
    assert cursors.load("profile") == Cursor()
    assert not cursors.advance("you", "profile", Cursor(9, 9, 9))
    assert cursors.advance("me", "profile", Cursor(1, 2, 3))
    assert cursors.load("profile") == Cursor(1, 2, 3)
    cursors.release_lease("you", 60_000)
    assert cursors.acquire_lease("you", force=True) > 0
    cursors.release_lease("me", 60_000)
    assert 0 < cursors.acquire_lease("you", force=False) <= 60_000
    assert cursors.acquire_lease("you", force=True) == 0
