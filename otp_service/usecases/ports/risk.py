"""The risk hook of an app, and where its refusals are put on record."""

from collections.abc import Mapping
from typing import Protocol

from ...domain.risk import RiskAnswer
from ...domain.starting import StartCommand


class RiskReceivers(Protocol):
    """The operators' systems, by app."""

    def ask(self, app: str, question_id: str, body: bytes) -> RiskAnswer:
        """Ask the app's system. Never raises for what it, its name server or the network does."""
        ...


class RefusedStarts(Protocol):
    """Starts that are refused before the store judges them."""

    def record(self, command: StartCommand, detail: Mapping[str, str]) -> None:
        """Put a refusal on record; of those of one number and app, one in a while."""
        ...
