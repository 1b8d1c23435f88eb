"""An alert to the people on call."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alert:
    """A message to the people on call. `id` is the same at every attempt to send it."""

    id: str
    text: str
