"""What starts take apart from their numbers: each kind of it by a script of its own, all of it in one round trip.

A crash between taking and giving back costs what was taken until it runs out by itself.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..domain.admission import OuterAnswer, Wanted
from ..domain.errors import StoreUnavailable
from .scripts import NamedCall, Scripts

_log = logging.getLogger("otp.limits")
TAKE, LOOK, GIVE_BACK = "take", "look", "give_back"
"""What a script is to do with one thing that is wanted."""


class Kind(Protocol):
    """How one kind of what is wanted is kept: a script that takes, looks and gives back."""

    def call(self, wanted: Any, action: str, mark: str) -> NamedCall:
        """The call that does this. `mark`: of the answer that is given back, else empty."""
        ...

    def answer(self, wanted: Any, action: str, reply: Any) -> OuterAnswer:
        """What the reply says. It may be a StoreUnavailable, which is raised where nothing else is known."""
        ...


class Outer:
    """Takes and gives back, each thing by its kind. Safe for many threads."""

    def __init__(self, scripts: Scripts, kinds: Mapping[type, Kind]) -> None:
        self._scripts = scripts
        self._kinds = kinds

    def take(self, wanted: Sequence[Wanted]) -> list[OuterAnswer]:
        """Take each of these that is free. Raises StoreUnavailable."""
        # Taken twice after a lost reply a slot is only lost.
        return self._run(TAKE, [(one, "") for one in wanted], repeat=True)

    def look(self, wanted: Sequence[Wanted]) -> list[OuterAnswer]:
        """What `take` would say. Raises StoreUnavailable."""
        return self._run(LOOK, [(one, "") for one in wanted], repeat=True)

    def give_back(self, taken: Sequence[OuterAnswer]) -> None:
        """Undo `take`. Never raises: the verdict is out, and what is not given back runs out by itself."""
        try:
            # Given back twice it would be one too many.
            self._run(GIVE_BACK, [(one.wanted, one.mark) for one in taken if not one.wait_ms], repeat=False)
        except StoreUnavailable:
            _log.warning("slots of limits were not given back")

    def _run(self, action: str, wanted: Sequence[tuple[Wanted, str]], *, repeat: bool) -> list[OuterAnswer]:
        if not wanted:
            return []
        kinds = [self._kinds[type(one)] for one, _ in wanted]
        calls = [kind.call(one, action, mark) for kind, (one, mark) in zip(kinds, wanted, strict=True)]
        replies = self._scripts.call_all(calls, repeat=repeat)
        return [kind.answer(one, action, reply) for kind, (one, _), reply in zip(kinds, wanted, replies, strict=True)]
