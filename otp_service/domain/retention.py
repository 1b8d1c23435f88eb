"""How long the store keeps what an operator may decide about. The rest has times of its own (`storage.schema.keys`)."""

from dataclasses import dataclass

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Retention:
    """Milliseconds.

    `verifications_ms`: how long an ended verification stays explainable, after its code's end. `dead_letters_ms`:
    callbacks that were given up. `last_senders_ms`: which sender reached a person last.
    """

    verifications_ms: int = DAY_MS
    dead_letters_ms: int = 7 * DAY_MS
    last_senders_ms: int = 30 * DAY_MS
