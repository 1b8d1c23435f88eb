"""`[audit]`: where checkpoints of the signed log are sent to."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..domain import receiver_url
from ..domain.outlets import EVERY_MS, Outlets, WitnessAddress
from ..transparency.notes import COSIGNATURE, NoteError, VerifierKey
from .faults import Faults
from .sections import AuditSection, WitnessEntry


def read_outlets(section: AuditSection, faults: Faults) -> Outlets:
    """The addresses; of no use if there are faults."""
    private = bool(section.allow_private)
    _require_url(section.checkpoint_url, "checkpoint_url", faults, private=private)
    _require_url(section.timestamp_url, "timestamp_url", faults, private=private)
    _require_authorities(section, faults)
    witnesses = tuple(_witness(one, faults, private=private) for one in section.witnesses or ())
    _require_names(witnesses, faults)
    return Outlets(
        checkpoint_url=section.checkpoint_url,
        checkpoint_every_ms=section.checkpoint_every or EVERY_MS,
        timestamp_url=section.timestamp_url,
        timestamp_ca_file=section.timestamp_ca_file,
        witnesses=witnesses,
        allow_private=private,
    )


def _require_url(url: str | None, key: str, faults: Faults, *, private: bool) -> None:
    if url is None:
        return
    objection = receiver_url.objection(url, allow_private=private, setting="audit.allow_private")
    if objection is not None:
        faults.add(f"audit.{key}", objection)


def _require_authorities(section: AuditSection, faults: Faults) -> None:
    if (section.timestamp_url is None) != (section.timestamp_ca_file is None):
        faults.add("audit.timestamp_url", "belongs together with timestamp_ca_file, which says whose timestamps count")
    elif section.timestamp_ca_file is not None and not Path(section.timestamp_ca_file).is_file():
        faults.add("audit.timestamp_ca_file", f"{section.timestamp_ca_file} is no file")


def _require_names(witnesses: Sequence[WitnessAddress], faults: Faults) -> None:
    """By its name each of them is told apart: in metrics, by `doctor`, and by who brings checkpoints to it."""
    names = Counter(one.key.partition("+")[0] for one in witnesses)
    for name, count in names.items():
        if count > 1:
            faults.add("audit.witnesses", f"{count} of them have the name {name}: each needs a name of its own")


def _witness(entry: WitnessEntry, faults: Faults, *, private: bool) -> WitnessAddress:
    _require_url(entry.url, "witnesses", faults, private=private)
    try:
        if VerifierKey.parse(entry.key).kind != COSIGNATURE:
            raise NoteError("it is the key of a log")
    except NoteError as error:
        faults.add("audit.witnesses", f"key: must be the key that `witness run` prints: {error}")
    return WitnessAddress(entry.url, entry.key)
