"""Supporting a person: what stands against them, and taking it away. Each act is an event of the record."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ..domain import message_text, phone
from ..domain.errors import InvalidRequest, StoreUnavailable
from ..domain.factors import Subject
from ..domain.ids import Ids, Reference
from ..domain.optout_list import OptOut
from ..domain.person import Also, Budget, Remembered, budgets
from ..domain.phone import Phone
from ..domain.policy import App, Policy
from ..domain.verification import Status
from ..domain.view import VerificationView
from . import ports
from .guard.standing import GuardStanding, GuardStandings
from .limits_of_person import LimitsOfPerson
from .spend_of_person import SpendOfPerson
from .verify.apps import configured_app

MAX_REASON = 200
"""Characters of a reason."""

T = TypeVar("T")
_NUMBER_IN_TEXT = re.compile(r"(?:[0-9][ ().\-/]{0,2}){9,}")


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands against a person in one app. `spend_wait_ms`: until the app may pay for a message; 0 if it may.

    Both this and `guard` are None where they are not known: that part of the store does not answer.
    """

    app: str
    budgets: Sequence[Budget]
    optouts: Sequence[OptOut]
    latest: Sequence[VerificationView]
    guard: GuardStanding | None
    spend_wait_ms: int | None = 0


@dataclass(frozen=True, slots=True)
class Person:
    """What stands against a person at a moment of the store's clock, in each app that was asked about."""

    mask: str
    at_ms: int
    standing: Sequence[Standing]


class Support:
    """Looks a person up, and lifts what stands against them. Safe for many threads.

    `app`: the app that somebody acts for, who learns nothing of others; None for an operator, who acts for all.
    """

    def __init__(
        self,
        *,
        people: ports.PersonStore,
        optouts: ports.OptOutRegistry,
        store: ports.VerificationStore,
        factors: ports.SubjectLocks,
        limits: LimitsOfPerson,
        guard: GuardStandings,
        spend: SpendOfPerson,
        ids: Ids,
        policy: Policy,
    ) -> None:
        self._people = people
        self._optouts = optouts
        self._store = store
        self._factors = factors
        self._limits = limits
        self._guard = guard
        self._spend = spend
        self._ids = ids
        self._policy = policy

    def explain(self, number: str, app: str | None) -> Person:
        """What stands against this number now. Raises InvalidNumber, NotReady and StoreUnavailable."""
        person = phone.parse(number)
        number_hash = self._ids.number_hash(person.e164)
        known, optouts = self._people.remembered(number_hash), self._optouts.of_number(number_hash)
        alone = app is not None
        standing = [self._standing(one, person, number_hash, known, optouts, alone=alone) for one in self._apps(app)]
        self._people.record_shown(number_hash, person.mask, app)
        return Person(person.mask, known.now_ms, standing)

    def lift(self, number: str, what: str, reason: str, app: str | None) -> list[str]:
        """Take away a `lock` or the opt-outs (`optout`); the names of what stood.

        A lock is all that refuses the person's next start because of what was done with their number: budget, ladder,
        caps, limits that count the number (together with an address or other words of the caller: those that refused it
        within the hour), a pending verification whose sends are used up (it is canceled), wrong codes
        of its subject, and the pumping guard, which lets the next two sends pass if it refuses, or did within the hour.

        Raises InvalidNumber, InvalidRequest for a reason that says nothing or too much, NotReady and StoreUnavailable.
        """
        person = phone.parse(number)
        number_hash, reason = self._ids.number_hash(person.e164), require_reason(reason)
        if what == "lock":
            return self._lift_lock(person, number_hash, app, reason)
        profiles = {sender.messaging_profile_id for one in self._apps(app) for sender in one.route}
        return self._people.lift_optouts(number_hash, person.mask, sorted(profiles), app, reason)

    def _apps(self, app: str | None) -> list[App]:
        return list(self._policy.apps.values()) if app is None else [configured_app(self._policy, app)]

    def _standing(
        self, app: App, to: Phone, number_hash: str, known: Remembered, optouts: Sequence[OptOut], *, alone: bool
    ) -> Standing:
        profiles = {sender.messaging_profile_id for sender in app.route}
        latest = self._latest(app, known)
        found = _with_used_up(budgets(known, app, self._policy.per_number), latest)
        return Standing(
            app.name,
            [
                *([_own(one, known, app.name) for one in found] if alone else found),
                *self._limits.standing(
                    app, to, number_hash, self._people.refused_by(number_hash, app.name), alone=alone
                ),
            ],
            [entry for entry in optouts if entry.messaging_profile_id in profiles],
            latest,
            _if_known(lambda: self._guard.of(app, to, number_hash)),
            _if_known(lambda: self._spend.wait_ms(app, to)),
        )

    def _refs(self, app: App, known: Remembered) -> list[Reference]:
        tokens = [token for (of_app, _), token in known.latest.items() if of_app == app.name]
        return [ref for token in tokens if (ref := self._ids.read_token(token)) is not None]

    def _latest(self, app: App, known: Remembered) -> list[VerificationView]:
        views = [view for ref in self._refs(app, known) if (view := self._store.view(ref, app.name)) is not None]
        return sorted(views, key=lambda view: -view.created_ms)

    # ---- lifting ---------------------------------------------------------------------------------------------------

    def _lift_lock(self, to: Phone, number_hash: str, app: str | None, reason: str) -> list[str]:
        apps, known = self._apps(app), self._people.remembered(number_hash)
        refused_by = [(one, self._people.refused_by(number_hash, one.name)) for one in apps]
        slots = self._limits.counted(refused_by, to, number_hash, alone=app is not None)
        let_pass = {one.name: one.guard.counted_for_ms for one in apps if self._is_refused(one, to, number_hash)}
        names = [slot.name for slot in slots]
        names += [name for one in apps for name in (*self._end_used_up(one, known), *self._unlock(one, known, reason))]
        # On record first: what is forgotten without a record could not be explained.
        lifted = self._people.lift_lock(number_hash, to.mask, app, reason, Also(names, let_pass))
        self._limits.forget(slots)
        return lifted

    def _is_refused(self, app: App, to: Phone, number_hash: str) -> bool:
        """Whether the guard refuses the number, or did within the hour: then perhaps because of an address.

        Where that is not known, it is taken to be so: the person is to pass.
        """
        seen = _if_known(lambda: self._guard.of(app, to, number_hash))
        if seen is None:
            return True
        return seen.refused_by is not None or (seen.is_judged and self._people.guard_refused(number_hash, app.name))

    def _end_used_up(self, app: App, known: Remembered) -> Iterator[str]:
        for view in self._latest(app, known):
            if _is_used_up(view):
                self._store.cancel("lift", view.reference, app.name)
                yield "verification.sends"

    def _unlock(self, app: App, known: Remembered, reason: str) -> Iterator[str]:
        for found in self._people.subjects(self._refs(app, known)):
            subject = Subject(app.name, found, self._ids.subject(app.name, found))
            if self._factors.lift(subject, reason):
                yield "factor.wrong_codes"


def _if_known(ask: Callable[[], T]) -> T | None:
    """What an app keeps apart from numbers. In a Cluster its part may not answer, while the number's does."""
    try:
        return ask()
    except StoreUnavailable:
        return None


def _is_used_up(view: VerificationView) -> bool:
    """Whether no further code is sent until it ends."""
    return view.status is Status.PENDING and view.sends_left == 0


def _with_used_up(found: Sequence[Budget], latest: Sequence[VerificationView]) -> list[Budget]:
    """The ladders, with the wait for the end of a verification whose sends are used up."""
    ends = {view.purpose: view.expires_ms - view.now_ms for view in latest if _is_used_up(view)}
    return [
        replace(one, wait_ms=max(one.wait_ms, ends.get(one.purpose or "", 0))) if one.name == "resend_after" else one
        for one in found
    ]


def _own(budget: Budget, known: Remembered, app: str) -> Budget:
    """Of what all apps count together an app learns its own part, and whether the whole refuses."""
    if budget.app is not None:
        return budget
    wrong = budget.name == "service.wrong_codes_per_number"
    times = known.wrong[app].times if wrong and app in known.wrong else ()
    if not wrong:
        times = tuple(send.at_ms for send in known.sends if send.app == app)
    return replace(budget, used=sum(at_ms + budget.per_ms > known.now_ms for at_ms in times))


def require_reason(text: str) -> str:
    """A reason that may stand in the record: words that can be read, and no telephone number. Raises InvalidRequest."""
    reason = text.strip()
    if not 1 <= len(reason) <= MAX_REASON or not message_text.printable(reason) or not message_text.legible(reason):
        form = f"1 to {MAX_REASON} printable characters"
        raise InvalidRequest(f"The reason must have {form}.", [("/reason", form)])
    if _NUMBER_IN_TEXT.search(reason):
        form = "no telephone number: the record holds masks only"
        raise InvalidRequest(f"The reason must hold {form}.", [("/reason", form)])
    return reason
