"""How the pumping guard sees a number, for those who support its owner. Nothing is counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ...domain.guard.policy import Mode
from ...domain.guarding import NO_REGION, NumberInGuard, Places
from ...domain.numbering import SANDBOX_NUMBER
from ...domain.phone import Phone
from ...domain.policy import App
from .. import ports
from .safelist import SafeList


class GuardState(StrEnum):
    """`off`: the mode is, or the number is one of the sandbox's. `passed`: a lift or an earlier count lets it pass."""

    OFF = "off"
    SAFE = "safe_list"
    KNOWN = "known"
    PASSED = "passed"
    COUNTED = "counted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class GuardStanding:
    """`known_until_ms`: 0 if the number is not known. `blocks`: how full its blocks are and what they hold if cold.

    `refused_by`: the budget that refuses a start now whose caller names no address; None if none does.
    """

    state: GuardState
    known_until_ms: int
    blocks: Mapping[str, tuple[float, float]]
    refused_by: str | None = None

    @property
    def is_judged(self) -> bool:
        """Whether the budgets are asked about its next start."""
        return self.state in (GuardState.COUNTED, GuardState.UNKNOWN)


class GuardStandings:
    """Looks numbers up. `sandbox`: the carrier is one, and its numbers are left alone."""

    def __init__(
        self,
        *,
        numbers: ports.GuardOfNumber,
        budgets: ports.GuardBudgets,
        places: Places,
        safe_list: SafeList,
        sandbox: bool,
    ) -> None:
        self._numbers = numbers
        self._budgets = budgets
        self._places = places
        self._safe_list = safe_list
        self._sandbox = sandbox

    def of(self, app: App, to: Phone, number_hash: str) -> GuardStanding:
        """How an app's guard sees the number now. Raises StoreUnavailable."""
        mode = app.guard.mode_in(to.region or NO_REGION)
        place = self._places.of(app.name, to, mode)
        found = self._numbers.read(number_hash, app.name, place, app.guard)
        state, refused_by = self._state(mode, to, found), None
        if state in (GuardState.COUNTED, GuardState.UNKNOWN):
            verdict = self._budgets.look(app.name, place, app.guard)
            refused_by = verdict.word if verdict.refused else None
        return GuardStanding(state, found.known_until_ms, found.blocks, refused_by)

    def _state(self, mode: Mode, to: Phone, found: NumberInGuard) -> GuardState:
        self._safe_list.refresh()
        if self._safe_list.holds(to):
            return GuardState.SAFE
        if mode is Mode.OFF or (self._sandbox and SANDBOX_NUMBER.fullmatch(to.e164)):
            return GuardState.OFF
        if found.known_until_ms:
            return GuardState.KNOWN
        if found.covered:
            return GuardState.PASSED
        return GuardState.COUNTED if found.counted else GuardState.UNKNOWN
