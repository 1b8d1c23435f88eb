"""A person's reply: STOP and START change the opt-out registry, "that wasn't me" denies what they were sent.

What a text means is read by `domain.replies`. The carrier's own reading of a message comes before ours.
"""

import logging
from dataclasses import dataclass, field

from ..domain import optout, phone, replies
from ..domain.denial import Denial
from ..domain.errors import InvalidNumber
from ..domain.ids import Ids
from ..domain.optout_list import OptOut
from ..domain.policy import Policy
from . import ports

_log = logging.getLogger("otp.receive")


@dataclass(frozen=True, slots=True)
class Reply:
    """A message from a person. `event_id` is the webhook's, `autoresponse` the carrier's reading (`STOP`, …).

    `from_number` and `to_number` are E.164, or a short code or name. `occurred_ms` is Unix milliseconds.
    """

    event_id: str
    from_number: str = field(repr=False)
    to_number: str | None
    messaging_profile_id: str | None
    text: str = field(repr=False)
    autoresponse: str | None
    occurred_ms: int


class ReceiveReply:
    """Receives replies. Safe for many threads."""

    def __init__(
        self, *, store: ports.VerificationStore, optouts: ports.OptOutRegistry, ids: Ids, policy: Policy
    ) -> None:
        self._store = store
        self._optouts = optouts
        self._ids = ids
        self._policy = policy

    def receive(self, reply: Reply) -> None:
        """Do what a reply asks for. One with a word of opting out that is not understood is recorded, and no more.

        Raises StoreUnavailable.
        """
        reading = replies.read(reply.text)
        wish = optout.carrier_reading(reply.autoresponse) if reply.autoresponse else reading.wish
        changes = wish in (optout.Wish.STOP, optout.Wish.START)
        deniers = frozenset(app.name for app in self._policy.apps.values() if reading.denies(app.denial_words))
        unclear = reading.unclear and not (reply.autoresponse or deniers)
        person = _person(reply.from_number) if changes or deniers or unclear else None
        if person is None:
            return
        number_hash = self._ids.number_hash(person.e164)
        if deniers:
            self._deny(reply, number_hash, deniers)
        if unclear:
            self._optouts.record_unclear(number_hash, person.mask, reply.messaging_profile_id)
        if changes:
            self._record_keyword(reply, number_hash, person.mask, wish)

    def _record_keyword(self, reply: Reply, number_hash: str, mask: str, wish: optout.Wish | None) -> None:
        for profile in self._profiles(reply):
            entry = OptOut(
                messaging_profile_id=profile,
                opted_out=wish is optout.Wish.STOP,
                at_ms=reply.occurred_ms,
                keyword=(reply.autoresponse or str(wish)).upper(),
                source=optout.source(reply.autoresponse, reply.text),
            )
            outcome = self._optouts.record(number_hash, mask, entry, f"{reply.event_id}:{profile}")
            _log.info("opt-out wish", extra={"to": mask, "wish": str(wish), "outcome": outcome})

    def _profiles(self, reply: Reply) -> list[str]:
        if reply.messaging_profile_id:
            return [reply.messaging_profile_id]
        senders = self._policy.senders.values()
        to = reply.to_number
        by_address = {sender.messaging_profile_id for sender in senders if to and sender.address == to}
        # The carrier did not name the profile: better to stop too much than too little.
        return sorted(by_address or {sender.messaging_profile_id for sender in senders})

    def _deny(self, reply: Reply, number_hash: str, apps: frozenset[str]) -> None:
        first_received_ms = self._store.first_received(number_hash, reply.event_id)
        denial = Denial(apps, self._senders(reply), reply.occurred_ms, first_received_ms)
        for ref in self._store.pending(number_hash):
            if self._store.deny(ref, denial) == "denied":
                extra = {"verification_id": ref.verification_id}
                _log.warning("the person says that it was not them", extra=extra)

    def _senders(self, reply: Reply) -> frozenset[str]:
        """The senders that the reply can have been meant for: a pool has many numbers, and we know none of them."""
        profile, to = reply.messaging_profile_id, reply.to_number
        return frozenset(
            sender.name
            for sender in self._policy.senders.values()
            if profile in (None, sender.messaging_profile_id)
            and (sender.address is None or to in (None, sender.address))
        )


def _person(from_number: str) -> phone.Phone | None:
    """Who wrote; None for a short code or a name: there is nobody to send to."""
    try:
        return phone.parse(from_number)
    except InvalidNumber:
        return None
