"""Supporting a person: what stands against them, and taking it away. Each act is an event of the record."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..domain import message_text, phone
from ..domain.errors import InvalidRequest
from ..domain.ids import Ids
from ..domain.optout_list import OptOut
from ..domain.person import Budget, Remembered, budgets
from ..domain.policy import App, Policy
from ..domain.view import VerificationView
from . import ports
from .verify.apps import configured_app

MAX_REASON = 200
"""Characters of a reason."""

_NUMBER_IN_TEXT = re.compile(r"(?:[0-9][ ().\-/]{0,2}){9,}")


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands against a person in one app."""

    app: str
    budgets: Sequence[Budget]
    optouts: Sequence[OptOut]
    latest: Sequence[VerificationView]


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
        ids: Ids,
        policy: Policy,
    ) -> None:
        self._people = people
        self._optouts = optouts
        self._store = store
        self._ids = ids
        self._policy = policy

    def explain(self, number: str, app: str | None) -> Person:
        """What stands against this number now. Raises InvalidNumber, NotReady and StoreUnavailable."""
        person = phone.parse(number)
        number_hash = self._ids.number_hash(person.e164)
        known, optouts = self._people.remembered(number_hash), self._optouts.of_number(number_hash)
        standing = [self._standing(one, known, optouts, alone=app is not None) for one in self._apps(app)]
        self._people.record_shown(number_hash, person.mask, app)
        return Person(person.mask, known.now_ms, standing)

    def lift(self, number: str, what: str, reason: str, app: str | None) -> list[str]:
        """Take away a `lock` (budget, ladder and caps) or the opt-outs (`optout`); the names of what stood.

        Raises InvalidNumber, InvalidRequest for a reason that says nothing or too much, NotReady and StoreUnavailable.
        """
        person = phone.parse(number)
        number_hash, reason = self._ids.number_hash(person.e164), require_reason(reason)
        if what == "lock":
            return self._people.lift_lock(number_hash, person.mask, app, reason)
        profiles = {sender.messaging_profile_id for one in self._apps(app) for sender in one.route}
        return self._people.lift_optouts(number_hash, person.mask, sorted(profiles), app, reason)

    def _apps(self, app: str | None) -> list[App]:
        return list(self._policy.apps.values()) if app is None else [configured_app(self._policy, app)]

    def _standing(self, app: App, known: Remembered, optouts: Sequence[OptOut], *, alone: bool) -> Standing:
        profiles = {sender.messaging_profile_id for sender in app.route}
        found = budgets(known, app, self._policy.per_number)
        return Standing(
            app.name,
            [_own(one, known, app.name) for one in found] if alone else found,
            [entry for entry in optouts if entry.messaging_profile_id in profiles],
            self._latest(app, known),
        )

    def _latest(self, app: App, known: Remembered) -> list[VerificationView]:
        tokens = [token for (of_app, _), token in known.latest.items() if of_app == app.name]
        refs = [ref for token in tokens if (ref := self._ids.read_token(token)) is not None]
        views = [view for ref in refs if (view := self._store.view(ref, app.name)) is not None]
        return sorted(views, key=lambda view: -view.created_ms)


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
