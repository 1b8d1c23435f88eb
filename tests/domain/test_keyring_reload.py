"""The keyring of a running process: it follows the file, keeps what it has if that is bad, and knows its time."""

import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service import keyring
from otp_service.domain import receipt
from otp_service.domain.errors import ConfigError, KeyUnknown, NotReady, StoreUnavailable
from otp_service.keyring import Keyring, KeyringError
from otp_service.keyring_reload import ReloadedKeyring

CREATED = "2026-01-01T00:00:00Z"
NOON = "2026-01-01T12:00:00Z"
NOON_MS = 1_767_268_800_000
_seeds = itertools.count(1)


def chance(size: int) -> bytes:
    """Other bytes at every call."""
    return next(_seeds).to_bytes(size, "big")


class Place:
    """A keyring file and clocks that stand still until they are moved."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = 100.0
        self.ms = NOON_MS - 600_000
        self.loads = 0
        self.write(keyring.create(chance, CREATED))

    def write(self, raw: bytes) -> None:
        """Put another file in its place, as the command does."""
        other = self.path.with_suffix(".new")
        other.write_bytes(raw)
        other.replace(self.path)

    def rotate(self, active_from: str | None = None) -> str:
        """Add a key; its id."""
        self.write(keyring.rotate(self.path.read_bytes(), chance, CREATED, active_from))
        return str(json.loads(self.path.read_bytes())["keys"][-1]["kid"])

    def load(self) -> Keyring:
        """Read it as `config` does."""
        self.loads += 1
        try:
            return keyring.parse(self.path.read_bytes())
        except OSError as error:
            raise ConfigError("cannot read the file") from error
        except KeyringError as error:
            raise ConfigError(f"the file: {error}") from error

    def open(self) -> ReloadedKeyring:
        """As one process holds it."""
        return ReloadedKeyring(self.path, self.load, monotonic=lambda: self.seconds, now_ms=lambda: self.ms)

    def passed(self, seconds: float) -> None:
        """Both clocks go on."""
        self.seconds += seconds
        self.ms += int(seconds * 1000)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place with a keyring of one key."""
    return Place(tmp_path / "keyring.json")


def states(ring: ReloadedKeyring) -> dict[str, str]:
    """The state of each key."""
    return {key.kid: state for key, state in ring.current().states()}


def test_a_new_key_is_noticed_by_itself(place: Place) -> None:
    """After a moment the changed file is read, once; what the old key made is still opened."""
    ring = place.open()
    old, sealed = ring.active_kid, ring.seal(b"x")
    new = place.rotate()
    assert ring.active_kid == old
    place.passed(1.1)
    assert ring.active_kid == new
    assert ring.open(sealed) == b"x"
    assert set(ring.peppers) == {old, new}
    for _ in range(10):
        place.passed(1.1)
        ring.current()
    assert place.loads == 2


def test_an_unknown_key_is_looked_for_at_once_but_not_in_a_loop(place: Place) -> None:
    """A key that somebody meets is looked for in the file; a file that did not change is not read."""
    ring, other = place.open(), place.open()
    place.passed(1.0)
    new = place.rotate()
    for look in (lambda: ring.knows(new), lambda: other.open(keyring.parse(place.path.read_bytes()).seal(b"x"))):
        assert look()
    loads = place.loads
    for _ in range(100):
        assert not ring.knows("nobody")
        with pytest.raises(KeyUnknown):
            ring.open("nobody:AAAA")
    assert place.loads == loads


def test_a_keyring_that_a_thread_follows_is_never_looked_at_by_access(place: Place) -> None:
    """In an event loop that would stop everybody; an unknown key is looked for where nobody else waits for it."""
    ring, runs = place.open(), list[Callable[[], None]]()
    sealed_before = ring.seal(b"x")

    def run(check: Callable[[], None]) -> None:
        runs.append(check)
        check()

    ring.follow(run)
    place.rotate(active_from="2026-01-01T11:55:00Z")
    place.passed(10)
    assert ring.open(sealed_before) == b"x"
    assert (place.loads, len(runs)) == (1, 0)
    ring.check()
    assert place.loads == 2
    newest = place.rotate()
    place.passed(10)
    assert ring.knows(newest)
    assert (place.loads, len(runs)) == (3, 1)


def test_a_key_becomes_active_while_the_file_is_checked(place: Place) -> None:
    """Whoever uses the keyring then does not wait for the check, which can be that of a store that hangs."""
    ring, hangs, goes_on = place.open(), threading.Event(), threading.Event()

    def register(kids: frozenset[str]) -> None:
        if len(kids) > 1:
            hangs.set()
            assert goes_on.wait(30)

    ring.register(register)
    ring.follow(lambda check: check())
    new = place.rotate(active_from="2026-01-01T11:55:00Z")
    place.passed(10)
    checking = threading.Thread(target=ring.check)
    checking.start()
    try:
        assert hangs.wait(30)
        assert ring.active_kid != new
        place.passed(600)
        assert ring.active_kid == new
    finally:
        goes_on.set()
        checking.join(30)


def test_a_keyring_that_is_not_the_stores_serves_nobody(place: Place) -> None:
    """Nothing is made or opened with it until the store is its own again; the file is followed meanwhile."""
    ring = place.open()
    sealed = ring.seal(b"x")
    ring.refuse("The store belongs to another keyring.")
    new = place.rotate()
    place.passed(1.1)
    ring.check()
    for use in (ring.current, ring.jwks, lambda: ring.seal(b"x"), lambda: ring.open(sealed), lambda: ring.knows(new)):
        with pytest.raises(NotReady, match="another keyring"):
            use()
    ring.refuse(None)
    assert ring.open(sealed) == b"x"
    assert ring.active_kid == new


def broken(raw: bytes) -> dict[str, bytes]:
    """Files that cannot take the place of this one."""
    other = json.loads(raw)
    other["index_key"] = json.loads(keyring.create(chance, CREATED))["index_key"]
    return {"empty": b"", "half": raw[: len(raw) // 2], "no keyring": b"{}", "other index": json.dumps(other).encode()}


@pytest.mark.parametrize("kind", ["empty", "half", "no keyring", "other index", "gone"])
def test_a_file_that_became_bad_changes_nothing_but_the_health(
    place: Place, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The keys read before are used; the reason is reported, logged once, and gone when the file is good again."""
    ring = place.open()
    good, kid = place.path.read_bytes(), ring.active_kid
    sealed = ring.seal(b"x")
    assert ring.fault is None
    with caplog.at_level(logging.ERROR):
        if kind == "gone":
            place.path.unlink()
        else:
            place.write(broken(good)[kind])
        for _ in range(5):
            place.passed(1.1)
            assert ring.active_kid == kid
            assert ring.open(sealed) == b"x"
            assert ring.fault
    assert len(caplog.records) == 1
    assert json.loads(good)["index_key"] not in f"{ring.fault}{caplog.text}"
    place.write(good)
    new = place.rotate()
    place.passed(1.1)
    assert ring.fault is None
    assert ring.active_kid == new


def test_a_key_makes_nothing_before_its_time(place: Place) -> None:
    """Published and readable at once, active when its time has come, without another look at the file."""
    old = place.open().active_kid
    new = place.rotate(NOON)
    ring = place.open()
    assert ring.active_kid == old
    assert [key["kid"] for key in ring.jwks()["keys"]] == [old, new]
    assert set(ring.peppers) == {old, new}
    assert states(ring) == {old: "active", new: "next"}
    place.passed(599)
    assert ring.active_kid == old
    place.passed(1)
    assert ring.active_kid == new
    assert states(ring) == {old: "verify", new: "active"}
    assert place.loads == 2


def test_a_jwks_that_was_fetched_before_the_rotation_verifies_what_is_signed_after_it(place: Place) -> None:
    """oidcproxydotnet#242: whoever keeps the keys for five minutes has the one of every receipt.

    Two processes that notice at different moments; keys are fetched and receipts made every half minute, for an hour
    and three rotations.
    """
    claims = receipt.Claims("https://otp.example", "shop", "s", "login", "sms", "", "j", "vrf_x", 1)
    processes = [place.open(), place.open()]
    fetched: list[tuple[float, set[str]]] = []
    for step in range(120):
        if step in (10, 40, 42):
            place.rotate(_rfc(place.ms + 600_000))
        for turn, ring in enumerate(processes):
            place.passed(15)
            if (step + turn) % 2:  # each looks every minute only
                fetched.append((place.seconds, {key["kid"] for key in ring.jwks()["keys"]}))
                now = ring.current()
                kid = receipt.kid_of(receipt.encode(claims, now.active_kid, now.sign))
                kept = [kids for at, kids in fetched if place.seconds - at <= 300]
                assert all(kid in kids for kids in kept)
    assert processes[0].active_kid == processes[1].active_kid == json.loads(place.path.read_bytes())["keys"][-1]["kid"]


def _rfc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def test_a_better_clock_wins(place: Place) -> None:
    """A machine that is a day ahead does not use a key early once the store's clock is known, nor one behind late."""
    old = place.open().active_kid
    new = place.rotate(NOON)
    place.ms += 86_400_000
    ring = place.open()
    assert ring.active_kid == new
    ring.set_clock(NOON_MS - 10_000)
    assert ring.active_kid == old
    assert ring.clock_ms() == NOON_MS - 10_000
    place.passed(10)
    assert ring.active_kid == new
    assert ring.clock_ms() == NOON_MS


def test_new_keys_are_registered_until_it_succeeds(place: Place) -> None:
    """At once, at every change, and again where the store did not answer."""
    registered: list[frozenset[str]] = []
    answers: Iterator[bool] = iter([True, False, True, True])

    def register(kids: frozenset[str]) -> None:
        registered.append(kids)
        if not next(answers):
            raise StoreUnavailable("down")

    ring = place.open()
    old = ring.active_kid
    ring.register(register)
    new = place.rotate()
    for _ in range(5):
        place.passed(1.1)
        ring.current()
    assert registered == [{old}, {old, new}, {old, new}]


def test_at_no_time_is_the_ring_without_an_active_key(place: Place) -> None:
    """A clock at the epoch, and every key with a time to come: the first makes new things."""
    data = json.loads(place.path.read_bytes())
    data["keys"][0]["active_from"] = NOON
    place.write(json.dumps(data).encode())
    first = data["keys"][0]["kid"]
    place.rotate(NOON)
    place.ms = 0
    assert place.open().active_kid == first


def test_a_retired_key_opens_and_is_not_published(place: Place) -> None:
    """It is known as such, and the active key is never it."""
    old = place.open()
    sealed, kid = old.seal(b"x"), old.active_kid
    new = place.rotate()
    data = json.loads(place.path.read_bytes())
    data["keys"][0]["state"] = "retired"
    place.write(json.dumps(data).encode())
    ring = place.open()
    assert ring.open(sealed) == b"x"
    assert kid in ring.peppers
    assert [key["kid"] for key in ring.jwks()["keys"]] == [new]
    assert states(ring) == {kid: "retired", new: "active"}


def test_an_emergency_is_not_undone_by_an_older_plan(place: Place) -> None:
    """A key that is to become active later does not take over from one that was made at once after it."""
    planned = place.rotate(NOON)
    at_once = place.rotate()
    ring = place.open()
    for seconds in (0, 599, 2, 86_400):
        place.passed(seconds)
        assert ring.active_kid == at_once
    assert ring.current().knows(planned)


@settings(max_examples=60)
@given(
    moves=st.lists(
        st.sampled_from(["rotate", "rotate at once", "wait", "wait long", "make", "break", "mend"]), max_size=30
    )
)
def test_whatever_the_order_nothing_that_was_made_is_lost(
    tmp_path_factory: pytest.TempPathFactory, moves: list[str]
) -> None:
    """Two processes, one file, any order of rotations, waits and broken files.

    What one made the other opens in the end, and publishes the key of.
    """
    place = Place(tmp_path_factory.mktemp("ring") / "keyring.json")
    one, two = place.open(), place.open()
    made: list[tuple[str, str]] = []
    good = place.path.read_bytes()
    steps: dict[str, Callable[[], object]] = {
        "rotate": lambda: place.rotate(_rfc(place.ms + 600_000)),
        "rotate at once": place.rotate,
        "wait": lambda: place.passed(0.4),
        "wait long": lambda: place.passed(700),
        "make": lambda: made.extend((ring.active_kid, ring.seal(b"x")) for ring in (one, two)),
    }
    for move in moves:
        if move == "break":
            place.write(b"")
        elif move == "mend" or place.path.read_bytes():
            if move == "mend":
                place.write(good)
            else:
                steps[move]()
                good = place.path.read_bytes()
    place.write(good)
    place.passed(2)
    for kid, sealed in made:
        for ring in (one, two):
            assert ring.open(sealed) == b"x"
            assert kid in {key["kid"] for key in ring.jwks()["keys"]}
