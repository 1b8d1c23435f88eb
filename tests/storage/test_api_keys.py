"""API keys: what opens, how a key ends, how it is rotated, and what is recorded of it."""

import hashlib
import itertools
import json
import time

import pytest

from otp_service.domain.errors import StoreUnavailable
from otp_service.storage.api_keys import ApiKeys
from otp_service.storage.callers import clear_caller, set_caller
from otp_service.storage.schema.fields import ApiKey
from tests.conftest import wait_until

from .harness import StoreHarness, Twice


class Tokens:
    """Tokens with a counter."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def hex(self, n: int) -> str:
        """Like secrets.token_hex."""
        return f"{next(self._count):0{2 * n}x}"

    def urlsafe(self, n: int) -> str:
        """Like secrets.token_urlsafe."""
        return f"s3cret{next(self._count)}".ljust(-(-n * 4 // 3), "x")


TOKENS = Tokens()


@pytest.fixture
def keys(harness: StoreHarness) -> ApiKeys:
    """API keys as one process sees them."""
    return another_process(harness)


def another_process(harness: StoreHarness) -> ApiKeys:
    """API keys with a memory of their own."""
    return ApiKeys(
        harness.store, harness.scripts, harness.keys, harness.audit, token_hex=TOKENS.hex, token_urlsafe=TOKENS.urlsafe
    )


def at_store(harness: StoreHarness, ms: int) -> None:
    """Wait until the store's clock has come there."""
    wait_until(lambda: harness.now() >= ms)


def key_events(harness: StoreHarness) -> list[tuple[str, str]]:
    """Type and key id of the recorded events."""
    found = harness.audited_in(0)
    return [(event["type"], json.loads(event["detail"])["key_id"]) for event in found]


def test_a_key_opens_what_it_was_made_for(keys: ApiKeys, harness: StoreHarness) -> None:
    """The principal names key, app and scopes; the store holds the secret's hash only."""
    made = keys.create("shop", ["verify", "audit:read"], None)
    who = keys.authenticate(made.key)
    assert who is not None
    assert (who.key_id, who.app, who.scopes) == (made.id, "shop", frozenset({"verify", "audit:read"}))
    text = repr(harness.snapshot())
    assert made.key not in text
    assert made.key.split("_")[2] not in text
    assert hashlib.sha256(made.key.encode()).hexdigest() in text
    assert made.key not in repr(made)


@pytest.mark.parametrize("spoil", ["", "x", " ", "\n", "wrong", "unknown", "é", "prefix"])
def test_nothing_else_opens(keys: ApiKeys, spoil: str) -> None:
    """A key that differs anywhere, in its secret, id or form, is nobody's."""
    made = keys.create("shop", ["verify"], None)
    spoiled = {
        "": "",
        "wrong": made.key[:-1] + ("A" if made.key[-1] != "A" else "B"),
        "unknown": made.key.replace(made.id, "f" * 12),
        "prefix": made.key[:-1],
    }.get(spoil, made.key + spoil)
    assert keys.authenticate(spoiled) is None
    assert keys.authenticate(made.key) is not None


def test_a_key_ends_in_time(keys: ApiKeys, harness: StoreHarness) -> None:
    """Expiry is judged at each use, remembered look-up or not."""
    for life_ms in (400, 4_000, 40_000):  # a busy machine may find the shortest over at its first use
        made = keys.create("shop", ["verify"], life_ms)
        assert made.expires_at_ms is not None
        assert made.expires_at_ms <= harness.now() + life_ms
        found = keys.authenticate(made.key)
        if harness.now() < made.expires_at_ms:
            assert found is not None
            break
    assert made.expires_at_ms is not None
    at_store(harness, made.expires_at_ms)
    assert keys.authenticate(made.key) is None
    assert another_process(harness).authenticate(made.key) is None


@pytest.mark.parametrize("ahead_s", [-100 * 86_400, -120, 120, 100 * 86_400])
def test_no_process_clock_judges_a_key(
    keys: ApiKeys, harness: StoreHarness, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    """With the shell's and the server's clock minutes or months off, a key lives, ends and is revoked as ever."""
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(ahead_s * 1e9))
    lasting, brief = keys.create("shop", ["verify"], 3_600_000), keys.create("shop", ["verify"], 0)
    assert keys.authenticate(lasting.key) is not None
    assert keys.authenticate(brief.key) is None
    new = keys.rotate(lasting.id, 3_600_000)
    assert new is not None
    assert keys.authenticate(lasting.key) is not None
    assert keys.authenticate(new.key) is not None
    assert keys.revoke(new.id)
    assert keys.authenticate(new.key) is None
    info = keys.get(new.id)
    assert info is not None
    assert abs((info.revoked_at_ms or 0) - harness.now()) < 60_000


def test_a_revocation_is_a_mark_and_no_time(keys: ApiKeys, harness: StoreHarness) -> None:
    """Also when the store's clock steps back behind the revocation, or an older release wrote a later moment."""
    made = keys.create("shop", ["verify"], None)
    harness.raw.hset(harness.keys.api_key(made.id), ApiKey.ENDS, harness.now() + 120_000)  # a shell two minutes ahead
    assert keys.authenticate(made.key) is not None
    assert keys.revoke(made.id)
    harness.raw.hset(
        harness.keys.api_key(made.id), ApiKey.ENDS, harness.now() + 600_000
    )  # the store's clock, ten minutes back
    assert keys.authenticate(made.key) is None
    assert keys.rotate(made.id, 60_000) is None


def test_a_revocation_holds_everywhere(harness: StoreHarness, keys: ApiKeys) -> None:
    """Another process that has just used the key refuses it; see `test_background` for one that need not ask."""
    elsewhere = another_process(harness)
    made = keys.create("shop", ["verify"], None)
    assert elsewhere.authenticate(made.key) is not None
    assert keys.revoke(made.id)
    assert not keys.revoke("nosuchkey000")
    assert elsewhere.authenticate(made.key) is None


def test_the_first_end_of_a_key_stays(keys: ApiKeys, harness: StoreHarness) -> None:
    """Revoking again does not move the moment, and a longer overlap does not revive what has ended."""
    made = keys.create("shop", ["verify"], None)
    keys.revoke(made.id)
    first = keys.get(made.id)
    at_store(harness, harness.now() + 5)
    keys.revoke(made.id)
    assert keys.get(made.id) == first
    assert keys.rotate(made.id, 60_000) is None


def test_rotation_overlaps(keys: ApiKeys, harness: StoreHarness) -> None:
    """Old and new key both open during the overlap, the new one alone afterwards; a second rotation extends nothing."""
    old = keys.create("shop", ["verify"], None)
    new = keys.rotate(old.id, 60_000)
    assert new is not None
    assert (new.app, new.scopes) == ("shop", ("verify",))
    assert keys.authenticate(old.key) is not None
    assert keys.rotate(old.id, 999_000) is not None
    info = keys.get(old.id)
    assert info is not None
    assert info.revoked_at_ms is not None
    assert info.revoked_at_ms <= harness.now() + 60_000
    harness.raw.hset(harness.keys.api_key(old.id), ApiKey.ENDS, harness.now())  # the overlap is over
    assert keys.authenticate(old.key) is None
    assert keys.authenticate(new.key) is not None
    assert keys.rotate("nosuchkey000", 1) is None
    assert keys.rotate(old.id, 1_000) is None


def test_a_rotation_without_overlap_ends_the_old_key_at_once(keys: ApiKeys, harness: StoreHarness) -> None:
    """The new key keeps the old one's end."""
    old = keys.create("shop", ["verify"], 3_600_000)
    new = keys.rotate(old.id, 0)
    assert new is not None
    assert new.expires_at_ms == old.expires_at_ms
    assert keys.authenticate(old.key) is None
    assert keys.authenticate(new.key) is not None


def test_an_expired_key_cannot_be_rotated(keys: ApiKeys) -> None:
    """What has run out is no valid key any more; a new one has to be made on purpose."""
    made = keys.create("shop", ["verify"], 0)
    assert keys.rotate(made.id, 60_000) is None


def test_keys_are_listed_by_app_oldest_first(keys: ApiKeys, harness: StoreHarness) -> None:
    """Revoked ones too, so that they can be explained."""
    first = keys.create("shop", ["verify"], None)
    at_store(harness, harness.now() + 2)
    second = keys.create("bank", ["verify"], None)
    at_store(harness, harness.now() + 2)
    third = keys.create("shop", ["metrics"], 60_000)
    keys.revoke(first.id)
    assert [info.id for info in keys.list()] == [first.id, second.id, third.id]
    assert [info.id for info in keys.list("shop")] == [first.id, third.id]
    assert keys.get(second.id) == keys.list("bank")[0]
    assert keys.get("nosuchkey000") is None


def test_what_happens_to_a_key_is_recorded_without_the_key(keys: ApiKeys, harness: StoreHarness) -> None:
    """Creation, rotation and revocation are events that name the key's id; nothing is left to be recorded."""
    made = keys.create("shop", ["verify"], None)
    new = keys.rotate(made.id, 60_000)
    assert new is not None
    keys.revoke(new.id)
    keys.revoke(new.id)
    created, revoked = "key.created", "key.revoked"
    assert sorted(key_events(harness)) == sorted(
        [(created, made.id), (revoked, made.id), (created, new.id), (revoked, new.id)]
    )
    assert not harness.raw.exists(harness.keys.api_key_events())


def test_a_key_and_its_event_are_one_step(
    keys: ApiKeys, harness: StoreHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that dies after the change, or between record and list, loses no event and records none twice."""

    def dies(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as crash:
        crash.setattr(harness.audit, "record", dies)
        set_caller("", "", "shell:me@here")
        made = keys.create("shop", ["verify"], None)
        assert keys.revoke(made.id)
        clear_caller()
    assert keys.authenticate(made.key) is None
    assert key_events(harness) == []
    waiting = harness.raw.hgetall(harness.keys.api_key_events())
    another_process(harness).record_events()
    harness.raw.hset(
        harness.keys.api_key_events(), mapping=waiting
    )  # the first copier died before it could strike them
    another_process(harness).record_events()
    assert sorted(key_events(harness)) == [("key.created", made.id), ("key.revoked", made.id)]
    assert {event["address"] for event in harness.audited_in(0)} == {"shell:me@here"}


def test_a_key_made_twice_is_one(harness: StoreHarness) -> None:
    """A command whose reply was lost runs again: one key, one event, and a rotation rotates once."""
    twice = StoreHarness(harness.store, harness.keys, Twice(harness.store), harness.ring)
    keys = another_process(twice)
    old = keys.create("shop", ["verify", "support"], 60_000)
    assert (old.app, old.scopes) == ("shop", ("verify", "support"))
    assert old.expires_at_ms == keys.list()[0].expires_at_ms
    new = keys.rotate(old.id, 60_000)
    assert new is not None
    assert keys.authenticate(new.key) is not None
    assert len(keys.list()) == 2
    assert len(key_events(harness)) == 3
