"""`[retention]`: how long the store keeps what may be decided about."""

from typing import Any

from ..domain.retention import Retention
from .duration import plain_ms
from .faults import Faults
from .sections import RetentionSection
from .tables import read_section


def read_retention(raw: Any, faults: Faults) -> Retention:
    """The times; of no use if there are faults."""
    section = read_section(raw, RetentionSection, "retention", faults)
    given = {
        "verifications_ms": section.verifications,
        "dead_letters_ms": section.dead_letters,
        "last_senders_ms": section.last_senders,
    }
    return Retention(**{name: plain_ms(value) for name, value in given.items() if value is not None})
