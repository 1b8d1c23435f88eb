"""The health of senders: circuit breakers, statistics, the carrier's own ratios, and alerts to the people on call."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ...domain.alert import Alert
from ...domain.circuit import BreakerDecision, Circuit, Fault, Hold, Success
from ...domain.delivery import SendOutcome
from ...domain.policy import Sender
from ...domain.routing import Health


class Circuits(Protocol):
    """The circuit breakers of senders, profiles and the account, by scope (see `domain.circuit`)."""

    def states(self, scopes: Sequence[str]) -> Mapping[str, Circuit]:
        """The breakers as they were a moment ago."""
        ...

    def admit(self, scopes: Sequence[str], *, held_too: bool = False) -> BreakerDecision:
        """Whether a message may go through all of these breakers now; `held_too`: a hold does not stop it."""
        ...

    def record_hold(self, hold: Hold, number_hash: str, *, probe: bool = False) -> str:
        """Count a refusal that this number's message met: `opened`, `open` (it was before) or `counted`."""
        ...

    def record_fault(self, fault: Fault, number_hash: str, *, probe: bool = False) -> bool:
        """Count a fault that this number's message met; whether it opened the breaker."""
        ...

    def record_success(self, success: Success, *, probe: bool) -> bool:
        """Close an open breaker if this was its probe; whether it closed."""
        ...

    def record_delivered(self, scopes: Sequence[str]) -> None:
        """A message was delivered: failed reports of these scopes are no longer in a row."""
        ...


class SenderStats(Protocol):
    """How senders' deliveries end, and the carrier's ratios for them."""

    def record_result(self, sender: str, *, delivered: bool) -> None:
        """Count a delivery that ended."""
        ...

    def health(self, senders: Sequence[str]) -> Mapping[str, Health]:
        """The figures of the last hour, as of a few seconds ago."""
        ...

    def claim_health_poll(self) -> bool:
        """Whether it is time to poll the carrier's ratios, and this process is to do it."""
        ...

    def record_health(self, reports: Mapping[str, tuple[float | None, float | None]]) -> None:
        """The carrier's success and spam ratio (0 to 1) by sender."""
        ...


class HealthReports(Protocol):
    """The carrier's own ratios. Raises CarrierUnavailable."""

    def health(self, senders: Sequence[Sender]) -> Mapping[str, tuple[float | None, float | None]]:
        """Success and spam ratio (0 to 1) by sender; senders that the carrier has no figures of are left out."""
        ...


class Alerts(Protocol):
    """Alerts to the people on call that wait to be sent."""

    def raise_alert(self, trouble: str, text: str, *, yields: bool = False) -> bool:
        """Queue an alert; False if one about the same trouble was queued within the hour, or if too many wait.

        One that `yields` leaves places for others.
        """
        ...

    def claim(self) -> Alert | None:
        """The next alert to send; it comes again unless it is acknowledged."""
        ...

    def acknowledge(self, alert: Alert) -> None:
        """It was sent, or never can be."""
        ...


class Pager(Protocol):
    """Sends an alert to the people on call."""

    def page_people(self, sender: str, to: Sequence[str], text: str, *, idempotency_key: str) -> SendOutcome:
        """One group message from our number `sender`. Never raises for what the carrier does."""
        ...
