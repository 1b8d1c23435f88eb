"""The default limits never stop an honest login: days of people, on the store's own scripts.

The pumping guard takes no part here, and it is stricter. Of 200 people at one address who log in for the first time, in
one minute and in a new app, it sends codes to five: the budget of addresses refuses the others until codes are entered,
unless `known_user` (which doubles it), the safe list or the mode says otherwise. See deploy/docs/guard.md.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from otp_service.domain.checking import Approved
from otp_service.domain.delivery import Action, Refused
from otp_service.domain.ids import Reference
from otp_service.domain.policy import App, Slot
from otp_service.domain.starting import Started

from .harness import CODE, POOL, WRONG, StoreHarness, fresh_number, word
from .honest_days import DAYS

DEFAULT = App("shop", "Acme", (POOL,))
BANK = replace(DEFAULT, name="bank")


class Day:
    """One telephone, and what its owner does in the course of a day."""

    def __init__(self, harness: StoreHarness) -> None:
        self.harness = harness
        self.number = fresh_number()
        self.refs: dict[tuple[str, str], Reference] = {}
        self.started: dict[Reference, None] = {}

    def run(self, steps: Sequence[str]) -> None:
        """All steps in their order; fails at the first that is refused."""
        for step in steps:
            seconds, verb, *subject = step.split()
            self.pass_time(int(seconds) * 1000)
            app, _, purpose = (subject or ["shop/login"])[0].rpartition("/")
            getattr(self, verb)(BANK if app == "bank" else DEFAULT, purpose)

    def pass_time(self, ms: int) -> None:
        """Everything of the number becomes so much older."""
        if not ms or not self.started:
            return
        first, *others = self.started
        self.harness.age(first, ms, *others)
        self.harness.age_wrong_codes(first.number_hash, ms, DEFAULT, BANK)
        for app in (DEFAULT, BANK):
            starts = self.harness.starts(first.number_hash, app.name)
            self.harness.set_starts(first.number_hash, app.name, [at_ms - ms for at_ms in starts])

    def nothing(self, app: App, purpose: str) -> None:
        """Time passes."""

    def start(self, app: App, purpose: str) -> None:
        """A code is asked for, and is sent."""
        answer = self.harness.verifications.start(self.harness.start_command(self.number, app, purpose=purpose))
        assert isinstance(answer, Started), answer
        self.refs[app.name, purpose] = answer.reference
        self.started[answer.reference] = None

    def wrong(self, app: App, purpose: str) -> None:
        """A code is mistyped; it is judged, and not refused for what came before."""
        answer = self.harness.check(self.refs[app.name, purpose], WRONG, app)
        assert type(answer).__name__ in ("Wrong", "Ended"), answer

    def right(self, app: App, purpose: str) -> None:
        """The code is typed as it was sent."""
        answer = self.harness.check(self.refs[app.name, purpose], CODE, app)
        assert isinstance(answer, Approved), answer

    def cancel(self, app: App, purpose: str) -> None:
        """The form is left."""
        self.harness.verifications.cancel(word(), self.refs[app.name, purpose], app.name)

    def unsent(self, app: App, purpose: str) -> None:
        """The carrier refuses the message."""
        job = self.harness.take(self.refs[app.name, purpose])
        self.harness.must_begin(job, app)
        self.harness.deliveries.record_refused(job, Refused("40300", "No", Action.STOP_PERSON))


@pytest.mark.parametrize("name", DAYS)
def test_an_honest_day_is_never_stopped(server_harness: StoreHarness, name: str) -> None:
    """Typing mistakes, lost SMS, two devices, a family's and a call centre's telephone: each start and right code."""
    Day(server_harness).run(DAYS[name])


def test_there_are_twenty_of_them() -> None:
    """At least."""
    assert len(DAYS) >= 20


@pytest.mark.parametrize("people", [200])
def test_people_behind_one_address_are_many(server_harness: StoreHarness, people: int) -> None:
    """An office at nine in the morning, and a call centre that starts for its customers: one address, many numbers.

    The limit of an address lets them pass. The guard does only where their numbers are known.
    """
    slots = [Slot("client_ip", "shop:203.0.113.7", limit) for limit in DEFAULT.starts_per_client_ip]
    for _ in range(people):
        assert server_harness.limits.acquire(slots) == 0
        Day(server_harness).run(["0 start"])


def test_a_day_that_is_not_honest_is_stopped(server_harness: StoreHarness) -> None:
    """The check itself: the sixth purpose in a minute is no login."""
    with pytest.raises(AssertionError, match="rate_limited"):
        Day(server_harness).run([f"0 start p{n}" for n in range(6)])
