"""What each key of the keyring has sealed in the store, and sealing it anew while others write."""

import secrets

import pytest

from otp_service.domain.factor_checking import FactorApproved
from otp_service.domain.ids import Reference
from otp_service.keyring import Keyring, parse, rotate
from otp_service.storage.pieces import joined, pack_sealed, unpack_sealed
from otp_service.storage.schema.fields import Factor, IdempotencyKey, PendingSecret, Secrets
from otp_service.storage.schema.sealed import SEALED
from otp_service.storage.sealed_values import SealedValues

from .factors import active, enroll, guess, new_subject, step_of
from .harness import _KEYRING_BYTES, StoreHarness, fresh_number, word

ANSWER = b'{"status": "approved"}' * 20


def no_progress(*_: int) -> None:
    """Nobody watches."""


@pytest.fixture
def newer() -> Keyring:
    """The ring of the harness after a rotation."""
    return parse(rotate(_KEYRING_BYTES, secrets.token_bytes, "2026-02-01T00:00:00Z"))


@pytest.fixture
def values(harness: StoreHarness) -> SealedValues:
    """Those of the harness."""
    return SealedValues(harness.store, harness.scripts)


def answered(harness: StoreHarness, text: str) -> str:
    """The store's key of an answer that is kept."""
    digest = word("digest")
    harness.idempotency.reserve(digest, "f", "o")
    harness.idempotency.complete(digest, "o", 200, text)
    return harness.keys.idempotency(digest)


def test_the_list_names_keys_as_they_are_built(harness: StoreHarness) -> None:
    """Each line of the list has its key and its fields, and no other of what such a hash holds."""
    ref, digest = Reference("token", "0" * 20), "d"
    built = {harness.keys.secrets(ref): (Secrets.BOX, f"{Secrets.BODY}12"), harness.keys.idempotency(digest): ("body",)}
    token = "a" * 32
    built[harness.keys.enrollment(ref)] = (PendingSecret.SEALED,)
    built[harness.keys.subject(ref.number_hash)] = (f"{token}{Factor.SEALED}",)
    built[harness.keys.webhooks(3)] = ("1700000000000-0",)
    names = [Secrets.DIGEST, Secrets.BOX, f"{Secrets.BOX}:2", f"{Secrets.BODY}12", f"{Secrets.BODY}12:2"]
    held = dict.fromkeys(
        [*names, IdempotencyKey.BODY, IdempotencyKey.OWNER, PendingSecret.SEALED, "1700000000000-0"], "x"
    )
    held |= dict.fromkeys([f"{token}{name}" for name in (Factor.SEALED, f"{Factor.SEALED}:2", Factor.STEP)], "x")
    for key, fields in built.items():
        found = [name for where in SEALED for name in where.in_hash(key, held)]
        assert sorted(found) == sorted(fields)
    assert all(any(where.in_hash(key, held) for key in built) for where in SEALED)


def test_what_each_key_has_sealed_is_counted(harness: StoreHarness, values: SealedValues, newer: Keyring) -> None:
    """By kind; an answer that is not sealed is none of them. The progress ends with everything."""
    ref = harness.start(fresh_number()).reference
    harness.start(fresh_number())
    harness.must_begin(harness.take(ref), body=newer.seal(b"request"))
    answered(harness, harness.ring.seal(ANSWER))
    answered(harness, '{"a": 1}')
    seen: list[tuple[int, int]] = []
    needs = values.needs(lambda done, total: seen.append((done, total)))
    assert needs == {
        harness.ring.active_kid: {"pending codes": 2, "answers of checks": 1},
        newer.active_kid: {"messages to send": 1},
    }
    assert seen[-1][0] == seen[-1][1] == len(harness.all_keys())


def test_what_lasts_is_sealed_anew(harness: StoreHarness, values: SealedValues, newer: Keyring) -> None:
    """It keeps its end; a second time there is nothing to do; codes that are pending are left as they are."""
    harness.start(fresh_number())
    keys = [answered(harness, harness.ring.seal(ANSWER + bytes([n]))) for n in range(5)]
    ends = [harness.raw.pexpiretime(key) for key in keys]

    def anew(sealed: str) -> str:
        return newer.seal(newer.open(sealed))

    assert values.reseal(newer.active_kid, anew, no_progress).done == 5
    assert values.needs(no_progress) == {
        harness.ring.active_kid: {"pending codes": 1},
        newer.active_kid: {"answers of checks": 5},
    }
    assert [newer.open(harness.raw.hget(key, IdempotencyKey.BODY)) for key in keys] == [
        ANSWER + bytes([n]) for n in range(5)
    ]
    assert [harness.raw.pexpiretime(key) for key in keys] == ends
    again = values.reseal(newer.active_kid, anew, no_progress)
    assert (again.done, again.changed, again.unreadable) == (0, 0, 0)


def test_it_goes_on_where_it_was_ended(harness: StoreHarness, values: SealedValues, newer: Keyring) -> None:
    """Whatever ends it between two values, each is whole, by the old key or by the new one."""
    keys = [answered(harness, harness.ring.seal(ANSWER)) for _ in range(6)]
    left = iter(range(3))

    def anew(sealed: str) -> str:
        next(left)
        return newer.seal(newer.open(sealed))

    with pytest.raises(RuntimeError):  # the end, as a generator makes of it
        values.reseal(newer.active_kid, lambda sealed: _ended(anew, sealed), no_progress)
    assert values.reseal(newer.active_kid, lambda text: newer.seal(newer.open(text)), no_progress).done == 3
    assert all(newer.open(harness.raw.hget(key, IdempotencyKey.BODY)) == ANSWER for key in keys)


def test_the_secret_of_an_app_is_carried_over(harness: StoreHarness, values: SealedValues, newer: Keyring) -> None:
    """It opens with the new key and logs in; one that is to be confirmed is counted, and left."""
    subject = new_subject(harness)
    ref = active(harness, subject)
    enroll(harness, subject)
    assert values.needs(no_progress) == {
        harness.ring.active_kid: {"secrets and numbers of factors": 1, "apps and numbers to be confirmed": 1}
    }
    assert values.reseal(newer.active_kid, lambda text: newer.seal(newer.open(text)), no_progress).done == 1
    (found,) = harness.factors.read(subject).authenticators
    assert found.sealed.startswith(newer.active_kid)
    assert newer.open(found.sealed) == b"s" * 20
    assert isinstance(guess(harness, subject, steps=[(ref.token, step_of(harness) + 1)]), FactorApproved)


def _ended(anew: object, sealed: str) -> str:
    try:
        return anew(sealed)  # type: ignore[operator,no-any-return]
    except StopIteration as end:
        raise RuntimeError("killed") from end


def test_what_changes_meanwhile_is_not_overwritten(harness: StoreHarness, values: SealedValues, newer: Keyring) -> None:
    """Nor does what has gone come back."""
    changed, gone = (answered(harness, harness.ring.seal(ANSWER)) for _ in range(2))
    other = harness.ring.seal(b"another")

    def anew(sealed: str) -> str:
        harness.raw.hset(changed, IdempotencyKey.BODY, other)
        harness.raw.delete(gone)
        return newer.seal(newer.open(sealed))

    result = values.reseal(newer.active_kid, anew, no_progress)
    assert (result.done, result.changed) == (0, 2)
    assert harness.raw.hget(changed, IdempotencyKey.BODY) == other
    assert not harness.raw.exists(gone)


def test_what_cannot_be_opened_is_counted_and_left(harness: StoreHarness, values: SealedValues, newer: Keyring) -> None:
    """A key that the ring lacks, or a value that somebody changed; the others are done."""
    lost = answered(harness, "kffffffff:AAAA")
    broken = answered(harness, f"{harness.ring.active_kid}:AAAA")
    answered(harness, harness.ring.seal(ANSWER))
    result = values.reseal(newer.active_kid, lambda text: newer.seal(newer.open(text)), no_progress)
    assert (result.done, result.unreadable) == (1, 2)
    assert harness.raw.hget(lost, IdempotencyKey.BODY) == "kffffffff:AAAA"
    assert harness.raw.hget(broken, IdempotencyKey.BODY) == f"{harness.ring.active_kid}:AAAA"


@pytest.mark.parametrize("size", [1, 30, 300])
def test_a_value_in_pieces_is_replaced_as_a_whole(harness: StoreHarness, newer: Keyring, size: int) -> None:
    """As many pieces as it needs then, and no old one behind them; the same call again changes nothing."""
    key, client = answered(harness, "{}"), harness.store.client
    harness.raw.hdel(key, "body")
    before, after = (pack_sealed(ring.seal(bytes(n))) for ring, n in ((harness.ring, 200), (newer, size)))
    pieces = {f"secret:{n // 64 + 1}" if n else "secret": before[n : n + 64] for n in range(0, len(before), 64)}
    client.hset(key, mapping=pieces)  # type: ignore[arg-type]
    for _ in range(2):
        call = {"field": "secret", "before": before, "after": after}
        assert harness.scripts.call("sealed/replace", {"sealed_idempotency": key}, **call) == 1  # type: ignore[arg-type]
    found: dict[str, str] = client.hgetall(key)  # type: ignore[assignment]
    assert newer.open(unpack_sealed(joined(found, "secret") or b"")) == bytes(size)
    assert len([name for name in found if name.startswith("secret")]) == -(-len(after) // 64)
    refused = {"field": "secret", "before": before, "after": before}
    assert harness.scripts.call("sealed/replace", {"sealed_idempotency": key}, **refused) == 0  # type: ignore[arg-type]
