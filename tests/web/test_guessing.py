"""Guessing over many numbers of an app: its next codes are harder to guess, nobody is refused, and people are told."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import MappingProxyType

import pytest

from otp_service import bootstrap, telemetry
from otp_service.bootstrap.guesses import guess_watch
from otp_service.bootstrap.stores import open_keyring, open_stores
from otp_service.bootstrap.web import WebParts, flask_app
from otp_service.diagnosis.guessing import check_guessing
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.guard.policy import GuardPolicy, Mode
from otp_service.domain.guessing import GuessingMode, GuessingRule, GuessingState, NewGuesses
from otp_service.domain.policy import OnCall
from otp_service.storage.alerts import Alerts
from otp_service.storage.guesses import Guesses
from otp_service.usecases.guess_watch import LOOK_EVERY_S, GuessWatch

from .conftest import ApiHarness
from .people import Person
from .test_binding import CHALLENGE

Watched = Callable[[GuessingRule], tuple[ApiHarness, Callable[[], None]]]


@pytest.fixture
def watched(api: ApiHarness) -> Iterator[Watched]:
    """Makes the service whose app `default` has this rule, and what lets its watch count."""
    with ExitStack() as ends:

        def make(rule: GuessingRule) -> tuple[ApiHarness, Callable[[], None]]:
            policy = api.settings.policy
            app = replace(policy.apps["default"], guessing=rule, guard=GuardPolicy(mode=Mode.OFF))
            other = replace(policy.apps["other"], guessing=GuessingRule())
            apps = MappingProxyType({**policy.apps, "default": app, "other": other})
            on_call = OnCall("+18445550001", ("+14165550123",))
            settings = replace(api.settings, policy=replace(policy, apps=apps), on_call=on_call)
            bootstrap.accept_keyring(settings)
            keyring = open_keyring(settings)
            stores = open_stores(settings, keyring)
            ends.callback(stores.store.close)
            now = [0.0]
            watch = guess_watch(settings, stores, lambda: now[0])
            parts = WebParts(settings, stores, keyring, guesses=watch)
            web = flask_app(parts, parts.watch(threading.Event().wait))

            def count() -> None:
                now[0] += LOOK_EVERY_S
                watch.count()

            return replace(api, app=web, settings=settings), count

        yield make


def guessed(api: ApiHarness, wrong: int) -> None:
    """So many wrong codes, at most four for a number."""
    while wrong:
        ref = api.started(api.number())
        for _ in range(min(wrong, 4)):
            api.check(ref, api.wrong(ref)).problem(422, "code_incorrect")
            wrong -= 1


def test_codes_are_harder_to_guess_while_somebody_guesses(watched: Watched) -> None:
    """Fewer tries, then the fewest and a digit more; what was started before keeps its tries; all are told once."""
    api, count = watched(GuessingRule(wrong_codes=10, longer_codes=True))
    before = api.started(api.number())
    guessed(api, 10)
    count()
    first = api.start(api.number())
    assert (first.status, first.json["checks_left"], len(api.code(first.json["verification_id"]))) == (201, 3, 6)
    assert api.check(before, api.wrong(before)).problem(422, "code_incorrect")["checks_left"] == 4
    assert telemetry.REGISTRY.get_sample_value("otp_guessing_level", {"app": "default"}) == 1.0
    api.check(first.json["verification_id"], "000000")
    guessed_here = api.started(api.number())
    for _ in range(2):
        api.check(guessed_here, api.wrong(guessed_here))
    api.check(guessed_here, api.wrong(guessed_here)).problem(410, "attempts_exhausted")
    guessed_by_many(api, 8)
    count()
    to = api.number()
    assert "******* is your" in api.start(to, dry_run=True).json["text"]
    ref = api.started(to)
    code = api.code(ref)
    assert len(code) == 7
    assert api.check(ref, f"{(int(code) + 1) % 10**7:07d}").problem(422, "code_incorrect")["checks_left"] == 1
    assert api.check(ref, code).status == 200
    person = Person(api, "user-guessed")
    assert person.check(api.code(api.started(api.number(), subject=person.subject))).status == 200
    events = api.call("GET", "/audit/events?type=guessing.changed").json["events"]
    assert [(event["detail"]["before"], event["detail"]["level"]) for event in events] == [(0, 1), (1, 2)]
    stores = open_stores(api.settings)
    alerts = Alerts(stores.store, stores.scripts, stores.keys)
    told = [alerts.claim() for _ in range(3)]
    assert [alert is not None and "guesses codes of default" in alert.text for alert in told] == [True, True, False]
    lines = {one.name: one for one in check_guessing(api.settings.policy, Guesses(stores.scripts, stores.keys))}
    stores.store.close()
    assert not lines["guessing of default"].ok
    assert lines["guessing of other"].ok
    assert lines["guessing of other"].detail == "0 wrong codes and 0 approvals in the last hour"


def guessed_by_many(api: ApiHarness, wrong: int) -> None:
    """So many wrong codes, one for a number."""
    for _ in range(wrong):
        ref = api.started(api.number())
        api.check(ref, api.wrong(ref))


def test_only_codes_that_were_compared_count(watched: Watched) -> None:
    """Neither checks of a verification whose tries are used up, nor those without the verifier of the start."""
    api, count = watched(GuessingRule(wrong_codes=10))
    ended = api.started(api.number())
    wrong = api.wrong(ended)
    answers = [api.check(ended, wrong).status for _ in range(45)]
    assert answers == [422] * 4 + [410] * 41
    for n in range(12):
        bound = api.started(api.number(), code_challenge=CHALLENGE, subject="bound" if n % 2 else f"bound-{n}")
        assert [api.check(bound, "000000").status for _ in range(3)] == [422, 422, 429]
    count()
    assert api.start(api.number()).json["checks_left"] == 5
    guessed_by_many(api, 5)
    count()
    assert api.start(api.number()).json["checks_left"] == 3


def test_an_app_may_only_be_told_or_be_left_alone(watched: Watched) -> None:
    """`alert` changes no code; `off` counts nothing."""
    api, count = watched(GuessingRule(GuessingMode.ALERT, wrong_codes=10))
    guessed(api, 10)
    count()
    assert api.start(api.number()).json["checks_left"] == 5
    assert len(api.call("GET", "/audit/events?type=guessing.changed").json["events"]) == 1
    api, count = watched(GuessingRule(GuessingMode.OFF))
    guessed(api, 4)
    count()
    stores = open_stores(api.settings)
    assert "guessing of default" not in {
        one.name for one in check_guessing(api.settings.policy, Guesses(stores.scripts, stores.keys))
    }
    (state,) = Guesses(stores.scripts, stores.keys).count([NewGuesses("default", GuessingRule())])
    assert isinstance(state, GuessingState)
    assert state.wrong == 10
    stores.store.close()


def test_guesses_that_the_store_did_not_take_are_counted_later(watched: Watched) -> None:
    """None is lost, and none is counted twice."""
    api, _ = watched(GuessingRule(wrong_codes=10))
    counted: list[tuple[int, int]] = []

    class Failing:
        def count(self, new: Sequence[NewGuesses]) -> list[GuessingState | StoreUnavailable]:
            counted.extend((one.wrong, one.approved) for one in new)
            return [
                StoreUnavailable("The store does not answer.") if len(counted) == 1 else GuessingState() for _ in new
            ]

    now = [0.0]
    apps = {"default": api.settings.policy.apps["default"]}
    watch = GuessWatch(apps=apps, guesses=Failing(), monotonic=lambda: now[0], alert=print, show=lambda *_: None)
    watch.judged("default", right=False)
    watch.judged("default", right=True)
    watch.judged("unknown", right=True)
    with pytest.raises(StoreUnavailable):
        watch.count()
    watch.judged("default", right=False)
    watch.count()
    watch.count()
    assert counted == [(1, 1), (2, 1)]
