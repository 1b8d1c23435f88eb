"""A person's reply that the login was not theirs ("that wasn't me")."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Denial:
    """The apps that have this word for a denial, and the senders that the reply can have been sent to.

    `at_ms` is when it was written by the carrier's clock, `received_ms` when it first arrived here by the store's.
    """

    apps: frozenset[str]
    senders: frozenset[str]
    at_ms: int
    received_ms: int
