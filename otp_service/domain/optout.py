"""Opting out and in again (47 CFR 64.1200(a)(10); CTIA keywords). What a reply's text means is read in `replies`.

The carrier's own reading of an inbound message is the authority; texts are read here only where it says nothing,
because the law counts any reasonable wording while the carrier knows a short list of words.
"""

from enum import StrEnum

CARRIER_STOP_WORDS = frozenset({"STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})
"""The carrier itself blocks a person whose whole message is one of these, in any case: it is then on its list."""

RESUBSCRIBE = "The person can opt in again by sending START to the number that the messages came from."


class Wish(StrEnum):
    """What an inbound message asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"


class Source(StrEnum):
    """How an entry came into the registry.

    `inbound`: the person's message, which the carrier understood too. `reply`: the person's message, which only we
    understood, so the carrier holds no block. `carrier`: a message was refused because of a block. `list`: the
    carrier's list of opt-outs.
    """

    INBOUND = "inbound"
    REPLY = "reply"
    CARRIER = "carrier"
    LIST = "list"


CARRIER_HOLDS = frozenset({Source.INBOUND, Source.CARRIER, Source.LIST})
"""Sources of entries that the carrier holds a block for, so that its full list may say that it is gone."""


def carrier_reading(autoresponse: str) -> Wish | None:
    """The carrier's classification (`STOP`, `START`, `HELP`); None for one that we do not know."""
    value = autoresponse.casefold()
    return Wish(value) if value in set(Wish) else None


def source(autoresponse: str | None, text: str) -> Source:
    """Whether the carrier understood the message too."""
    understood = autoresponse or " ".join(text.split()).upper() in CARRIER_STOP_WORDS
    return Source.INBOUND if understood else Source.REPLY
