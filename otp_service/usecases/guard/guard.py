"""The guard of one process: what it says of starts, and what approvals tell it."""

import logging
from typing import Protocol

from ...domain.checking import Approved
from ...domain.errors import StoreUnavailable
from ...domain.guard.policy import GuardPolicy, Mode
from ...domain.guarding import NO_REGION, Converted, GuardPlace, GuardVerdict, Places
from ...domain.numbering import SANDBOX_NUMBER
from ...domain.phone import Phone
from ...domain.policy import App, Policy
from .. import ports
from .notes import Notes
from .reports import GuardReports
from .safelist import SafeList

_log = logging.getLogger("otp.guard")


class GuardedRequest(Protocol):
    """What the guard looks at of a start."""

    @property
    def client_ip(self) -> str | None: ...
    @property
    def known_user(self) -> bool: ...


class Guard:
    """Safe for many threads. A store that does not answer refuses nobody here: the number's own step will say so."""

    def __init__(
        self,
        *,
        budgets: ports.GuardBudgets,
        numbers: ports.GuardedNumbers,
        places: Places,
        safe_list: SafeList,
        reports: GuardReports,
        notes: Notes,
        policy: Policy,
        sandbox: bool,
    ) -> None:
        """`sandbox`: the carrier is one, so numbers for examples cost nobody anything and are not counted."""
        self._budgets = budgets
        self._numbers = numbers
        self._places = places
        self._safe_list = safe_list
        self._reports = reports
        self._policy = policy
        self._sandbox = sandbox
        self.notes = notes

    def place(self, app: App, to: Phone, request: GuardedRequest) -> GuardPlace | None:
        """Where the number of a start is; None if the guard leaves it alone."""
        mode = app.guard.mode_in(to.region or NO_REGION)
        if mode is Mode.OFF or (self._sandbox and SANDBOX_NUMBER.fullmatch(to.e164)):
            return None
        if self._safe_list.holds(to):
            return None
        cost = app.guard.known_user_cost if request.known_user else 1.0
        return self._places.of(app.name, to, mode, request.client_ip, cost)

    def take(self, app: App, place: GuardPlace, *, quiet: bool = False) -> GuardVerdict | None:
        """Ask the budgets, and fill them; None if they do not answer. `quiet`: a refusal changes nothing."""
        try:
            verdict = self._budgets.take(app.name, place, app.guard, quiet=quiet)
        except StoreUnavailable:
            _log.warning("the guard's budgets do not answer, and refuse nobody", extra={"app": app.name})
            return None
        self.judged(app, place, verdict)
        return verdict

    def judged(self, app: App, place: GuardPlace, verdict: GuardVerdict) -> None:
        """The budgets have judged a start. Never raises."""
        self._reports.judged(app.name, place, verdict)

    def look(self, app: App, place: GuardPlace) -> GuardVerdict | None:
        """What they would say; nothing is filled."""
        try:
            return self._budgets.look(app.name, place, app.guard)
        except StoreUnavailable:
            return None

    def unused(self, app: App, place: GuardPlace, verdict: GuardVerdict) -> None:
        """Nothing was sent for what was taken: it is given back. Never raises."""
        taken = Converted(app.name, place.region, place.block_10k, place.block_1k, False, verdict.taken)
        self._give_back(taken, app.guard, approved=False)

    def unsent(self, one: Converted) -> None:
        """No carrier accepted what was counted: it is given back. Never raises."""
        app = self._policy.apps.get(one.app)
        if app is not None:
            self._give_back(one, app.guard, approved=False)

    def approved(self, app: App, answer: Approved) -> None:
        """A number was approved. Never raises."""
        if answer.given_back is not None:
            self._reports.happened(app.name, answer.given_back)
        elif answer.converted is not None and not answer.replayed:
            self.converted(app, answer.converted)

    def converted(self, app: App, one: Converted) -> None:
        """A login of this number ended well. Never raises.

        What was taken is given back now; that a known number was approved once more can wait for a moment.
        """
        if one.known and not one.taken:
            self.notes.approved(one)
        else:
            self._give_back(one, app.guard, approved=True)

    def in_background(self) -> None:
        """What no request waits for: read the safe list, write what known numbers tell. Raises StoreUnavailable."""
        self._safe_list.refresh()
        for (app, region), count in self.notes.take_started().items():
            policy = self._policy.apps[app].guard
            self._reports.happened(app, self._budgets.count_known(app, region, count, policy))
        for app, number_hash in self.notes.take_by_factor():
            found = self._numbers.approve(number_hash, app, self._policy.apps[app].guard)
            if found is not None:
                self._give_back(found, self._policy.apps[app].guard, approved=True)
        for one in self.notes.take_approved():
            self._give_back(one, self._policy.apps[one.app].guard, approved=True)

    def _give_back(self, one: Converted, policy: GuardPolicy, *, approved: bool) -> None:
        try:
            self._reports.happened(one.app, self._budgets.give_back(one, policy, approved=approved))
        except StoreUnavailable:
            _log.warning("a budget of the guard was not given back", extra={"app": one.app})
