"""Records of verifications as tests read and change them: under plain names, whatever they are packed into."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from otp_service.domain.ids import Reference
from otp_service.storage.schema import Keys
from otp_service.storage.schema.encodings import DeliveryFacts, Encoding, RecordFacts, Sending
from otp_service.storage.schema.fields import Delivery, Record


class Records:
    """The part of a harness that looks into the records of verifications."""

    if TYPE_CHECKING:
        keys: Keys
        raw: Any

    def record(self, ref: Reference) -> dict[str, str]:
        """Everything in the record, under plain names."""
        return unpacked(self.raw.hgetall(self.keys.record(ref)))

    def set_record(self, ref: Reference, changes: Mapping[str, str | int]) -> None:
        """Let these plain names have these values in the record."""
        key = self.keys.record(ref)
        self.raw.hset(key, mapping=repacked(self.raw.hgetall(key), changes))


def unpacked(record: Mapping[str, str]) -> dict[str, str]:
    """The record's fields with each packed part under its own name: `created_ms`, `2:sender`."""
    found = dict(record)
    for field, prefix, encoding in _packed(record):
        found |= {f"{prefix}{name}": value for name, value in encoding.named(found.pop(field)).items()}
    return found


def repacked(record: Mapping[str, str], changes: Mapping[str, str | int]) -> dict[str, str]:
    """What must be written to the stored record so that these plain names have these values."""
    rest = {name: str(value) for name, value in changes.items()}
    written = {}
    for field, prefix, encoding in _packed(record):
        parts = encoding.named(record[field])
        changed = {name: rest.pop(f"{prefix}{name}") for name in parts if f"{prefix}{name}" in rest}
        if changed:
            written[field] = encoding.pack(*(parts | changed).values())
    return written | rest


def _packed(record: Mapping[str, str]) -> list[tuple[str, str, Encoding]]:
    """The packed fields of a record: field, what stands before the plain names, encoding."""
    whole = ((Record.FACTS, "", RecordFacts), (Record.SENDING, "", Sending))
    found = [one for one in whole if one[0] in record]
    ordinals = [name.removesuffix(Delivery.FACTS) for name in record if name.endswith(Delivery.FACTS)]
    return found + [(f"{n}{Delivery.FACTS}", f"{n}:", DeliveryFacts) for n in ordinals]
