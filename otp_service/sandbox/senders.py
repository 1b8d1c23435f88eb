"""Which number or name a message is sent from."""

from __future__ import annotations

from dataclasses import dataclass

from otp_service.sandbox import regions
from otp_service.sandbox.errors import CarrierError
from otp_service.sandbox.fields import Fields
from otp_service.sandbox.numbers import Numbers


@dataclass(frozen=True, slots=True)
class Sender:
    """`kind` is longcode, tollfree, shortcode, alphanumeric or whatsapp."""

    address: str
    kind: str
    profile_id: str


class Senders:
    """Chooses senders among the account's numbers; `CarrierError` if there is none for a request."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def choose(self, kind: str, fields: Fields, recipient: str) -> Sender:
        """The sender of an SMS or MMS request; `kind` is one of `sending.KINDS`."""
        profile_id = fields.text("messaging_profile_id") or None
        if kind == "number_pool":
            return self._pool(fields.required_text("messaging_profile_id"), recipient)
        if kind == "alphanumeric_sender_id":
            fields.required_text("messaging_profile_id")
            return self._alphanumeric(fields.required_text("from"), profile_id)
        if kind == "long_code":
            return self.number(fields.required_text("from"), profile_id, {"longcode", "tollfree"})
        if kind == "short_code":
            return self.number(fields.required_text("from"), profile_id, {"shortcode"})
        return self._any_kind(fields.text("from"), profile_id, recipient)

    def number(self, address: str, profile_id: str | None, kinds: set[str]) -> Sender:
        """The account's number `address`, if it is of one of these kinds and on the profile (None: on any)."""
        number = self._numbers.get(address)
        if number is None or number.kind not in kinds or number.profile_id is None:
            raise _bad_sender(address)
        if profile_id is not None and profile_id != number.profile_id:
            raise _bad_sender(address)
        return Sender(address, number.kind, number.profile_id)

    def whatsapp(self, address: str, profile_id: str | None) -> Sender:
        """A WhatsApp sender. It need not be a number of the account if the request names a profile."""
        number = self._numbers.get(address)
        if number is not None and number.profile_id and profile_id in (None, "", number.profile_id):
            return Sender(address, number.kind, number.profile_id)
        if number is None and profile_id and self._numbers.has_profile(profile_id) and regions.E164.fullmatch(address):
            return Sender(address, "whatsapp", profile_id)
        raise _bad_sender(address)

    def _any_kind(self, address: str | None, profile_id: str | None, recipient: str) -> Sender:
        if not address:
            if profile_id is None:
                raise CarrierError(400, "40305", "Either 'from' or 'messaging_profile_id' is needed.", pointer="/from")
            return self._pool(profile_id, recipient)
        if self._numbers.get(address) is None and regions.ALPHANUMERIC.fullmatch(address):
            return self._alphanumeric(address, profile_id)
        return self.number(address, profile_id, {"longcode", "tollfree", "shortcode"})

    def _pool(self, profile_id: str, recipient: str) -> Sender:
        pointer = "/messaging_profile_id"
        if not self._numbers.has_profile(profile_id):
            detail = "The messaging profile does not exist, so it has no number to send from."
            raise CarrierError(400, "40305", detail, pointer=pointer)
        number = self._numbers.pick(profile_id, recipient)
        if number is None:
            raise CarrierError(400, "40321", "The messaging profile has no usable number.", pointer=pointer)
        return Sender(number.phone_number, number.kind, profile_id)

    def _alphanumeric(self, name: str, profile_id: str | None) -> Sender:
        if profile_id is None or not self._numbers.has_profile(profile_id):
            raise _bad_sender(name)
        if not regions.ALPHANUMERIC.fullmatch(name):
            raise _bad_sender(name)
        return Sender(name, "alphanumeric", profile_id)


def _bad_sender(address: str) -> CarrierError:
    detail = f"'{address[:20]}' is not a sender of this kind on the messaging profile."
    return CarrierError(400, "40305", detail, pointer="/from")
