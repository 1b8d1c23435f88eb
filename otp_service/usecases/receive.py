"""What the carrier tells us: delivery receipts, words from people, followed links.

The signature was checked before. Only what the signed body says is believed. The path of the request is not signed and
says nothing: a recorded report, posted to the path of a delivery whose answer is lost, would settle that.
"""

import logging
from collections.abc import Sequence

from ..domain import optout, phone, replies
from ..domain.delivery import DeliveryReport
from ..domain.errors import InvalidNumber
from ..domain.ids import Reference
from ..domain.operation import Denial, OptOut
from ..domain.policy import Policy
from . import ports
from .sender_health import SenderHealth

_log = logging.getLogger("otp.receive")


class Receive:
    """The stories of incoming events. Safe for many threads."""

    def __init__(
        self,
        *,
        reports: ports.DeliveryReports,
        store: ports.VerificationStore,
        optouts: ports.OptOutRegistry,
        vault: ports.Vault,
        policy: Policy,
        sender_health: SenderHealth,
    ) -> None:
        self._reports = reports
        self._store = store
        self._optouts = optouts
        self._ids = vault.ids
        self._policy = policy
        self._sender_health = sender_health

    def delivery_update(self, event_id: str, reports: Sequence[DeliveryReport]) -> None:
        """Move the deliveries that the receipts speak of. Unknown ones change nothing. Raises StoreUnavailable."""
        for report in reports:
            number = self._ids.number_hash(report.to)
            found = self._find(report, number)
            moved = self._reports.apply_report(*found, number, report, event_id) if found else None
            if found and moved and moved.outcome != "foreign":
                extra = {"delivery_id": found[0].delivery_id(found[1]), "status": report.status}
                _log.info("delivery receipt", extra={**extra, "outcome": moved.outcome})
                self._sender_health.record_report(moved, report, number)

    def _find(self, report: DeliveryReport, number: str) -> tuple[Reference, int] | None:
        """The delivery that the signed body names, else the one that is known to be this message.

        What the body names is the only answer, also when it is gone.
        """
        signed = self._ids.read_delivery(report.delivery_id) if report.delivery_id else None
        return signed or self._reports.find_message(number, report.message_id)

    def inbound(
        self,
        event_id: str,
        *,
        from_number: str,
        to_number: str | None,
        messaging_profile_id: str | None,
        text: str,
        autoresponse: str | None,
        occurred_ms: int,
    ) -> None:
        """A person wrote: STOP and START change the registry at once, "that wasn't me" ends what they were sent.

        A reply with a word of opting out that is not understood goes on record and changes nothing. Raises
        StoreUnavailable.
        """
        reading = replies.read(text)
        wish = optout.carrier_reading(autoresponse) if autoresponse else reading.wish
        changes = wish in (optout.Wish.STOP, optout.Wish.START)
        deniers = frozenset(app.name for app in self._policy.apps.values() if reading.denies(app.denial_words))
        unclear = reading.unclear and not (autoresponse or deniers)
        if not (changes or deniers or unclear):
            return
        try:
            person = phone.parse(from_number)
        except InvalidNumber:
            return  # a short code or a name wrote: there is nobody to send to
        number = self._ids.number_hash(person.e164)
        if deniers:
            senders = self._written_to(messaging_profile_id, to_number)
            self._deny(number, Denial(deniers, senders, occurred_ms, self._store.first_heard(number, event_id)))
        if unclear:
            self._optouts.record_unclear(number, person.mask, messaging_profile_id)
        if not changes:
            return
        for profile in self._profiles(messaging_profile_id, to_number):
            entry = OptOut(
                messaging_profile_id=profile,
                opted_out=wish is optout.Wish.STOP,
                at_ms=occurred_ms,
                keyword=(autoresponse or str(wish)).upper(),
                source=optout.source(autoresponse, text),
            )
            outcome = self._optouts.record(number, person.mask, entry, f"{event_id}:{profile}")
            _log.info("opt-out wish", extra={"to": person.mask, "wish": str(wish), "outcome": outcome})

    def _written_to(self, profile: str | None, to_number: str | None) -> frozenset[str]:
        """The senders that a person's answer can have been meant for: a pool has many numbers, and we know none."""
        return frozenset(
            sender.name
            for sender in self._policy.senders.values()
            if profile in (None, sender.messaging_profile_id)
            and (sender.address is None or to_number in (None, sender.address))
        )

    def _deny(self, number: str, denial: Denial) -> None:
        for ref in self._store.pending(number):
            if self._store.deny(ref, denial) == "denied":
                extra = {"verification_id": ref.verification_id}
                _log.warning("the person says that it was not them", extra=extra)

    def _profiles(self, given: str | None, to_number: str | None) -> list[str]:
        if given:
            return [given]
        senders = self._policy.senders.values()
        by_address = {sender.messaging_profile_id for sender in senders if to_number and sender.address == to_number}
        # The carrier did not say which profile: better to stop too much than too little.
        return sorted(by_address or {sender.messaging_profile_id for sender in senders})

    def link_click(self, event_id: str, message_id: str, to: str | None) -> None:
        """A person followed a link in a message: into the timeline. Raises StoreUnavailable."""
        if not to:
            return
        number = self._ids.number_hash(to if to.startswith("+") else f"+{to}")
        found = self._reports.find_message(number, message_id)
        if found is not None:
            self._reports.record_click(*found, event_id)

    def spend_limit(self, messaging_profile_id: str | None) -> None:
        """A messaging profile has reached its daily limit: leave it alone, and tell the people on call."""
        self._sender_health.spend_limit(messaging_profile_id)
