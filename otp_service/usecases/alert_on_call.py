"""Alerting the people on call: sending itself is in trouble.

Trouble is a refusal that no other person would have been spared: one that opened a breaker of the account, a profile or
a sender (`usecases.sender_health`); what one message meets is in the log. The process that finds it puts an alert into
the store's queue; a worker sends it as one group message. The same trouble raises one alert an hour, over all
processes. No text holds a code or a number of a person.

Nothing here ever disturbs a delivery: what goes wrong is logged and counted. An account that is closed as a whole
cannot send the alert either: the log line and the metric are there for that.
"""

import logging
from collections.abc import Callable

from ..domain.alert import Alert
from ..domain.delivery import Accepted, Action, NotSent, Refused, Unknown
from ..domain.errors import StoreUnavailable
from ..domain.policy import OnCall, Policy, Sender
from . import ports

_log = logging.getLogger("otp.alert")


class AlertOnCall:
    """Raises and sends alerts. Safe for many threads. With `on_call` None nobody is alerted."""

    def __init__(
        self,
        *,
        alerts: ports.Alerts,
        policy: Policy,
        on_call: OnCall | None,
        count: Callable[[str], None],
    ) -> None:
        self._alerts = alerts
        self._policy = policy
        self._on_call = on_call
        self._count = count

    def refused(self, refusal: Refused, sender: Sender | None) -> None:
        """A breaker is open by this refusal, or by this error of a failed message. Never raises."""
        if refusal.foreign:
            text = f"Requests to the carrier are not answered by the carrier: {_phrase(refusal)}. No codes go out."
            self._raise(f"all:{refusal.code}", text)
        elif refusal.action is Action.STOP_ALL:
            text = f"The carrier sends nothing for this account any more: {_phrase(refusal)}. No codes go out."
            self._raise(f"all:{refusal.code}", text)
        elif refusal.action in (Action.STOP_SENDER, Action.STOP_PROFILE):
            who = f"sender {sender.name}" if sender is not None else "one of the senders"
            text = f"The carrier refuses messages of {who}: {_phrase(refusal)}. Codes take the next sender, if any."
            self._raise(f"sender:{sender.name if sender else ''}:{refusal.code}", text)

    def spend_limit(self, profile: str | None) -> None:
        """The carrier reports that a profile has reached its daily limit. Never raises."""
        senders = sorted(s.name for s in self._policy.senders.values() if s.messaging_profile_id == profile)
        if profile is None or not senders:
            return
        names = ", ".join(senders)
        text = f"The profile of {names} has reached its daily spend limit. It sends nothing more before midnight UTC."
        self._raise(f"spent:{profile}", text)

    def app_spend(self, app: str, percent: int) -> None:
        """An app has spent so much of its daily limit. Never raises."""
        text = f"{app} has spent {percent} percent of its daily spend limit."
        if percent >= 100:
            text = (
                f"{app} has reached its daily spend limit, or nearly. It refuses messages that need more than is left. "
                "See otp-service guard spend."
            )
        self._raise(f"app_spend:{app}:{percent}", text)

    def guard(self, trouble: str, text: str) -> None:
        """Something happened to the pumping guard's budgets. Never raises.

        An attack on many apps must not leave an alert about the carrier without a place.
        """
        self._raise(trouble, text, yields=True)

    def risk_hook(self, app: str) -> None:
        """An app's risk hook does not answer. Never raises."""
        text = f"The risk hook of {app} does not answer. Its starts are treated as on_failure says."
        self._raise(f"risk:{app}", text)

    def guessing(self, app: str, level: int) -> None:
        """Somebody guesses codes of an app over many numbers. Never raises."""
        text = f"Somebody guesses codes of {app}. New codes allow fewer tries until it ends. See otp-service doctor."
        self._raise(f"guessing:{app}:{level}", text)

    def _raise(self, trouble: str, text: str, *, yields: bool = False) -> None:
        if self._on_call is None:
            return
        try:
            if self._alerts.raise_alert(trouble, f"otp-service: {text}", yields=yields):
                _log.warning("an alert to the people on call was queued", extra={"reason": trouble})
                self._count("raised")
        except StoreUnavailable:
            _log.warning("an alert could not be queued", extra={"reason": trouble})
            self._count("lost")

    def send(self, pager: ports.Pager) -> bool:
        """Send the next alert that waits, if any; whether there was one. Raises StoreUnavailable."""
        if self._on_call is None:
            return False
        alert = self._alerts.claim()
        if alert is None:
            return False
        # The same key at every attempt: if the response is lost, the people get one message.
        key = f"alert-{alert.id}"
        outcome = pager.page_people(self._on_call.sender, self._on_call.to, alert.text, idempotency_key=key)
        self._settle(alert, outcome)
        return True

    def _settle(self, alert: Alert, outcome: Accepted | Refused | NotSent | Unknown) -> None:
        name = type(outcome).__name__.lower()
        self._count(name)
        match outcome:
            case Accepted():
                _log.info("an alert was sent to the people on call", extra={"outcome": name})
                self._alerts.acknowledge(alert)
            case Refused(code=code):
                _log.error("the alert itself was refused", extra={"outcome": name, "carrier_code": code})
                self._alerts.acknowledge(alert)
            case NotSent(reason=reason) | Unknown(reason=reason):
                _log.warning("the alert will be tried again", extra={"outcome": name, "reason": reason})


def _phrase(refusal: Refused) -> str:
    # A run of digits in a text message looks like a code to people and machines alike.
    words = " ".join(word for word in refusal.title.split() if not any(char.isdigit() for char in word))
    return words.rstrip(".") or "no reason given"
