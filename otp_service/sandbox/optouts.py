"""Block rules: who sent STOP to which messaging profile.

A block applies to a whole profile: a STOP to any of its numbers blocks the person for all of them, and a START to
any of them removes the block. The keywords are Telnyx's defaults. They count only as the whole message, in upper or
lower case. Telnyx does not recognise a sentence like "please stop", so the service must.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

STOP_WORDS = frozenset({"STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})
START_WORDS = frozenset({"START", "UNSTOP"})
HELP_WORDS = frozenset({"HELP"})
SHORT_CODE_HELP_WORDS = frozenset({"HELP", "INFO"})


def autoresponse_type(text: str, *, short_code: bool = False) -> str | None:
    """`STOP`, `START` or `HELP` if the whole text is a keyword, else None."""
    word = text.strip().upper()
    if word in STOP_WORDS:
        return "STOP"
    if word in START_WORDS:
        return "START"
    return "HELP" if word in (SHORT_CODE_HELP_WORDS if short_code else HELP_WORDS) else None


def automatic_reply(kind: str, keyword: str, *, toll_free: bool) -> str:
    """The carrier's reply to a keyword. For toll-free numbers the network replies to STOP and START."""
    if kind == "STOP" and toll_free:
        return (
            f'NETWORK MSG: You replied with the word "{keyword.strip().lower()}" which blocks all texts sent from'
            ' this number. Text back "unstop" to receive messages again.'
        )
    if kind == "START" and toll_free:
        return 'NETWORK MSG: You have replied "unstop" and will begin receiving messages again from this number.'
    return {
        "STOP": "You have successfully been unsubscribed. You will not receive any more messages from this"
        " number. Reply START to resubscribe.",
        "START": "You have successfully been re-subscribed to messages from this number. Reply HELP for help."
        " Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
        "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    }[kind]


@dataclass(frozen=True, slots=True)
class Block:
    """One person's opt-out from one profile."""

    profile_id: str
    person: str
    sender: str
    keyword: str
    created_at: float

    def to_json(self, *, redact: bool) -> dict[str, str]:
        """As listed. Telnyx writes this time with a space instead of a `T`."""
        return {
            "from": self.sender,
            "to": self.person[:-4] + "****" if redact else self.person,
            "messaging_profile_id": self.profile_id,
            "keyword": self.keyword,
            "created_at": datetime.fromtimestamp(self.created_at, UTC).isoformat(" ", "microseconds"),
        }


class OptOuts:
    """The blocks, by profile and person. Only the person's own START removes one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: dict[tuple[str, str], Block] = {}

    def add(self, block: Block) -> None:
        """Add a block; a repeated STOP keeps the date of the first."""
        with self._lock:
            self._blocks.setdefault((block.profile_id, block.person), block)

    def remove(self, profile_id: str, person: str) -> None:
        """Remove the block, if there is one."""
        with self._lock:
            self._blocks.pop((profile_id, person), None)

    def is_blocked(self, profile_id: str, person: str) -> bool:
        """Whether `person` may not be sent to from `profile_id`."""
        return (profile_id, person) in self._blocks

    def __iter__(self) -> Iterator[Block]:
        """All blocks, oldest first."""
        with self._lock:
            return iter(tuple(self._blocks.values()))

    def reset(self) -> None:
        """Forget all blocks."""
        with self._lock:
            self._blocks.clear()
