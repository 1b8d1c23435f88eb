"""API keys and breakers that are read in the background: no request waits for them, and nothing old is believed."""

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from otp_service.domain.circuit import TRIPS_AFTER, Fault
from otp_service.domain.errors import StoreUnavailable
from otp_service.storage import background, known_api_keys
from otp_service.storage.api_keys import ApiKeys
from otp_service.storage.background import BackgroundReading
from otp_service.storage.circuit_states import KnownCircuits
from otp_service.storage.circuits import Circuits
from otp_service.storage.known_api_keys import KnownApiKeys
from tests.conftest import wait_until

from .harness import StoreHarness, word
from .test_api_keys import another_process
from .test_costs import cost

SCOPE = "sender:pool"


@pytest.fixture(scope="module")
def redis_url(own_redis_url: str) -> str:
    """What is counted is what these tests do, and nothing else."""
    return own_redis_url


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known stays known, however long a test takes."""
    monkeypatch.setattr(known_api_keys, "CONFIRMED_FOR_S", 3_600.0)


def fresh(harness: StoreHarness) -> tuple[ApiKeys, KnownApiKeys]:
    """The keys as a process knows them that has just started."""
    known = KnownApiKeys()
    made = another_process(harness)
    made._known = known
    return made, known


def refuses(*_: object) -> None:
    """A store that does not answer."""
    raise StoreUnavailable("gone")


# ---- API keys -------------------------------------------------------------------------------------------------------


def test_a_known_key_costs_no_round_trip(server_harness: StoreHarness) -> None:
    """In a process that has just started too, and for a wrong secret; a key that was made since is asked for."""
    ours, _ = fresh(server_harness)
    made = ours.create("shop", ["verify"], None)
    elsewhere, _ = fresh(server_harness)
    elsewhere.refresh()
    assert cost(server_harness, lambda: elsewhere.authenticate(made.key)) == (0, 0)
    assert elsewhere.authenticate(made.key) == ours.authenticate(made.key)
    wrong = made.key[:-1] + ("A" if made.key[-1] != "A" else "B")
    assert cost(server_harness, lambda: elsewhere.authenticate(wrong)) == (0, 0)
    assert elsewhere.authenticate(wrong) is None
    new = ours.create("shop", ["verify"], None)
    assert elsewhere.authenticate(new.key) is not None


def test_nothing_changed_costs_one_command(server_harness: StoreHarness) -> None:
    """However many keys there are."""
    ours, _ = fresh(server_harness)
    for _ in range(5):
        ours.create("shop", ["verify"], None)
    ours.refresh()
    assert cost(server_harness, ours.refresh) == (1, 0)


def test_every_change_of_a_key_is_noticed(harness: StoreHarness) -> None:
    """By the next reading: a new key, a rotation, a revocation."""
    ours, _ = fresh(harness)
    elsewhere, known = fresh(harness)
    elsewhere.refresh()
    old = ours.create("shop", ["verify"], None)
    elsewhere.refresh()
    assert known.get(old.id) is not None
    new = ours.rotate(old.id, 0)
    assert new is not None
    assert elsewhere.authenticate(old.key) is not None  # known, and not read again yet
    elsewhere.refresh()
    assert elsewhere.authenticate(old.key) is None
    assert elsewhere.authenticate(new.key) is not None
    assert ours.revoke(new.id)
    assert ours.authenticate(new.key) is None
    elsewhere.refresh()
    assert elsewhere.authenticate(new.key) is None


def test_what_is_not_confirmed_is_not_believed(server_harness: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is asked for each request then, whatever was known."""
    ours, known = fresh(server_harness)
    made = ours.create("shop", ["verify"], None)
    ours.refresh()
    noticed: list[str] = []
    known.is_stale = lambda: noticed.append("stale")
    monkeypatch.setattr(known_api_keys, "CONFIRMED_FOR_S", 0.0)
    fresh(server_harness)[0].revoke(made.id)
    assert ours.authenticate(made.key) is None
    assert noticed == ["stale"]


def test_a_key_ends_in_time_though_it_is_known(harness: StoreHarness) -> None:
    """No reading is needed for that."""
    ours, _ = fresh(harness)
    made = ours.create("shop", ["verify"], 400)
    ours.refresh()
    wait_until(lambda: harness.now() >= (made.expires_at_ms or 0))
    assert ours.authenticate(made.key) is None


def test_a_lost_mark_is_a_change(harness: StoreHarness) -> None:
    """A store that was emptied, or that went back in time, has other keys."""
    ours, _ = fresh(harness)
    made = ours.create("shop", ["verify"], None)
    ours.refresh()
    for name in harness.all_keys():
        harness.raw.delete(name)
    ours.refresh()
    assert ours.authenticate(made.key) is None


@pytest.mark.parametrize("late", ["a request's answer", "a reading of all"])
def test_an_answer_from_before_a_revocation_undoes_nothing(
    server_harness: StoreHarness, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """It was under way when this process revoked the key."""
    ours, _ = fresh(server_harness)
    made = ours.create("shop", ["verify"], None)
    read = ours._read

    def revoked_meanwhile(*args: list[str]) -> object:
        found = read(*args)
        monkeypatch.undo()
        monkeypatch.setattr(known_api_keys, "CONFIRMED_FOR_S", 3_600.0)
        ours.revoke(made.id)
        return found

    monkeypatch.setattr(ours, "_read", revoked_meanwhile)
    if late == "a reading of all":
        ours.refresh()
    else:
        ours.authenticate(made.key)
    assert ours.authenticate(made.key) is None


# ---- breakers -------------------------------------------------------------------------------------------------------


def test_a_known_breaker_costs_no_round_trip(server_harness: StoreHarness) -> None:
    """Shared by everything in the process."""
    known = KnownCircuits()
    known.for_s = 3_600.0
    one, other = (Circuits(server_harness.store, server_harness.scripts, server_harness.keys, known) for _ in range(2))
    one.refresh([SCOPE, "account"])
    assert cost(server_harness, lambda: other.states([SCOPE, "account"])) == (0, 0)
    assert cost(server_harness, lambda: other.admit([SCOPE, "account"])) == (0, 0)


def test_who_changes_a_breaker_reads_it_anew(harness: StoreHarness) -> None:
    """Also if a reading was under way that began before."""
    known = KnownCircuits()
    known.for_s = 3_600.0
    circuits = Circuits(harness.store, harness.scripts, harness.keys, known)
    circuits.refresh([SCOPE])

    def changed_meanwhile(scopes: list[str]) -> object:
        found = circuits._states._read(scopes)
        for _ in range(TRIPS_AFTER):
            circuits.record_fault(Fault(SCOPE, "connect"), word())
        return found

    known.read([SCOPE], changed_meanwhile)  # type: ignore[arg-type]
    assert circuits.states([SCOPE])[SCOPE].state == "open"


def test_no_breaker_is_missing_whoever_forgets_it(server_harness: StoreHarness) -> None:
    """Many threads read and change the same breakers: each gets every breaker that it asked for."""
    known = KnownCircuits()
    circuits = Circuits(server_harness.store, server_harness.scripts, server_harness.keys, known)
    scopes, faults, done = ["account", "profile:a", SCOPE], list[Exception](), threading.Event()

    def repeat(step: Callable[[], object]) -> None:
        while not done.is_set():
            try:
                step()
            except Exception as error:  # noqa: BLE001 - whatever it is, the test fails by it
                faults.append(error)

    def look() -> None:
        assert set(circuits.states(scopes)) == set(scopes)

    def forget() -> None:
        for scope in scopes:
            known.forget(scope)

    steps = [look, look, partial(circuits.refresh, scopes), forget]
    threads = [threading.Thread(target=repeat, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for _ in range(200):
        look()
    done.set()
    for thread in threads:
        thread.join(60)
    assert faults == []


# ---- the thread ------------------------------------------------------------------------------------------------------


def test_the_thread_goes_on_after_faults_and_starts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not answer and a mistake of ours end nothing; whoever needs it may start it at any time."""
    monkeypatch.setattr(background, "EVERY_S", 0.001)
    read = threading.Event()
    rounds: Iterator[Callable[[], object]] = iter([refuses, lambda: 1 / 0])

    def sometimes() -> None:
        next(rounds, read.set)()

    reading, others = BackgroundReading([sometimes]), set(threading.enumerate())

    def started() -> int:
        """Threads of other tests may end meanwhile, and none begin."""
        return len(set(threading.enumerate()) - others)

    for _ in range(3):
        reading.start()
    assert read.wait(30)
    assert started() == 1
    reading.stop()
    wait_until(lambda: started() == 0)
    reading.start()
    assert started() == 0


def test_a_thread_that_is_gone_is_started_again() -> None:
    """As after a fork."""
    read = threading.Event()
    reading = BackgroundReading([read.set])
    gone = threading.Thread(target=lambda: None)
    gone.start()
    gone.join()
    reading._thread = gone
    reading.start()
    assert read.wait(30)
    reading.stop()
