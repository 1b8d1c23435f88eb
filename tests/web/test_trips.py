"""How often a request goes to the store: what a login flow waits for. Nobody adds a round trip without noticing."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from nacl.signing import SigningKey

from otp_service import bootstrap, config
from otp_service.bootstrap import background as in_background
from otp_service.storage import background, circuit_states, known_api_keys, primary

from .conftest import Answer, ApiHarness, make_settings


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_redis_url: str) -> Iterator[ApiHarness]:
    """A service that has just started and has read once in the background; nothing else uses the store."""
    monkeypatch.setattr(background, "EVERY_S", 3_600.0)
    monkeypatch.setattr(known_api_keys, "CONFIRMED_FOR_S", 3_600.0)
    monkeypatch.setattr(circuit_states, "READ_BEHIND_FOR_S", 3_600.0)
    monkeypatch.setattr(in_background, "READ_BEHIND_FOR_S", 3_600.0)
    monkeypatch.setattr(primary, "ROLE_CHECK_S", 3_600.0)
    seed = SigningKey.generate()
    settings = make_settings(tmp_path, own_redis_url, seed)
    has_read = threading.Event()
    with redis.Redis.from_url(own_redis_url) as store:
        store.flushall()
        made = ApiHarness(
            bootstrap.build_web(settings, has_read=has_read.set), settings, config.load_keyring(settings), seed, store
        )
        for app in ("default", "address"):
            made.key(app)
        made.call("GET", "/verify/nothing")  # the first request starts the reading
        # Not when the store is quiet for a moment: between two readings it is, too, for long on a busy machine.
        assert has_read.wait(120.0)
        assert trips(made, lambda: made.call("GET", "/verify/nothing")) == 0
        yield made


def trips(api: ApiHarness, step: Callable[[], Answer]) -> int:
    """Round trips to the store: one read of a socket by the server is one, however many commands come with it."""

    def reads() -> int:
        found: Any = api.store.info("stats")
        return int(found["total_reads_processed"])

    before = reads()
    step()
    return reads() - before - 1


def started(api: ApiHarness, number: str) -> str:
    """A pending verification, whose script the store knows by now."""
    verification = api.started(number)
    assert api.check(verification, api.wrong(verification)).status == 422
    return verification


def approved(api: ApiHarness, app: str = "default") -> str:
    """A number that was approved: the pumping guard knows it."""
    number = api.guarded_number()
    verification = api.started(number, app)
    assert api.check(verification, api.code(verification), app).status == 200
    return number


def test_each_request_of_a_login_is_one_round_trip(quiet: ApiHarness) -> None:
    """Start, a repeat that is refused, check by id and by number, a look; no other for key, breakers or limits.

    The approval of a number that the guard knows, too. The start of an unknown number asks the guard's budgets in
    its own step, on a single server; what it took is given back in the step of the approval.
    """
    known = [approved(quiet) for _ in range(2)]
    pay = quiet.started(known[1], purpose="pay")
    code = quiet.code(pay)
    number = quiet.guarded_number()
    pending, wrong = started(quiet, number), "000000"
    if quiet.code(pending) == wrong:
        wrong = "000001"
    by_number = {"to": number, "code": wrong}
    steps: dict[str, Callable[[], Answer]] = {
        "start": lambda: quiet.start(known[0]),
        "approval": lambda: quiet.check(pay, code),
        "repeat": lambda: quiet.start(number),
        "check by id": lambda: quiet.check(pending, wrong),
        "check by number": lambda: quiet.call("POST", "/verify/check", by_number),
        "look": lambda: quiet.call("GET", f"/verify/{pending}"),
    }
    assert {name: trips(quiet, step) for name, step in steps.items()} == dict.fromkeys(steps, 1)
    assert trips(quiet, lambda: quiet.start(quiet.guarded_number())) == 1
    first = started(quiet, quiet.guarded_number())
    code = quiet.code(first)
    assert trips(quiet, lambda: quiet.check(first, code)) == 1


def test_all_limits_beside_the_number_share_one(quiet: ApiHarness) -> None:
    """One for them, one for the number; the same for a start that they refuse, and one more to give slots back."""
    address = {"client_ip": "203.0.113.7"}
    started(quiet, quiet.guarded_number())
    known = approved(quiet)
    quiet.start(quiet.guarded_number(), "default", **address)
    assert trips(quiet, lambda: quiet.start(known, "default", **address)) == 2
    number = quiet.guarded_number()
    quiet.started(number, "default", **address)
    assert trips(quiet, lambda: quiet.start(number, "default", **address)) == 3


def test_a_spend_limit_shares_it_with_other_limits(quiet: ApiHarness) -> None:
    """One for both, one for the number; a refusal by the number gives the price back in one more."""
    quiet.started(quiet.number(), "spending", client_ip="203.0.113.8")
    number = quiet.number()
    assert trips(quiet, lambda: quiet.start(number, "spending")) == 2
    assert trips(quiet, lambda: quiet.start(quiet.number(), "spending", client_ip="203.0.113.8")) == 2
    assert quiet.start(number, "spending").status == 200
    assert trips(quiet, lambda: quiet.start(number, "spending")) == 3


def test_limits_of_the_configuration_share_it_too(quiet: ApiHarness) -> None:
    """However many a start meets; and a check has none beside its own, unless wrong codes are limited apart."""
    words = {"client_ip": "203.0.113.8", "device_id": "d", "limit_keys": {"account": "a", "crowd": "c"}}
    known = approved(quiet, "limited")
    quiet.started(quiet.guarded_number(), "limited", **words)
    assert trips(quiet, lambda: quiet.start(known, "limited", **words)) == 2
    guessed = quiet.started(approved(quiet, "guessed"), "guessed")
    wrong, right, address = quiet.wrong(guessed), quiet.code(guessed), {"client_ip": "203.0.113.8"}
    quiet.check(guessed, wrong, "guessed", **address)
    assert trips(quiet, lambda: quiet.check(guessed, wrong, "guessed")) == 1
    assert trips(quiet, lambda: quiet.check(guessed, wrong, "guessed", **address)) == 2
    assert trips(quiet, lambda: quiet.check(guessed, right, "guessed", client_ip="203.0.113.9")) == 3


def test_what_is_old_is_asked_for(quiet: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is let in by what the background read too long ago."""
    assert isinstance(quiet.store, redis.Redis)
    monkeypatch.setattr(known_api_keys, "CONFIRMED_FOR_S", 0.0)
    assert trips(quiet, lambda: quiet.call("GET", "/verify/nothing")) == 1
    bootstrap.build_api_keys(quiet.settings).revoke(quiet.key().split("_")[1])
    quiet.call("GET", "/verify/nothing").problem(401, "unauthorized")
