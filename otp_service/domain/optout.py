"""Opting out and in again: what a person's words mean (47 CFR 64.1200(a)(10); CTIA keywords).

The carrier's own reading of an inbound message is the authority; words are read here only where it says nothing,
because the law counts any reasonable wording while the carrier's automat knows a short list.
"""

import re
import unicodedata
from enum import StrEnum


class Wish(StrEnum):
    """What an inbound message asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"


_STOP = {
    *("stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke", "opt out", "optout"),
    *("opt-out", "remove", "remove me", "stop texting me", "unsubscribe me"),
}
_START = {"start", "unstop", "opt in", "optin", "opt-in", "resubscribe", "subscribe"}
_SENTENCE = re.compile(r"\b(stop|quit)\s+(texting|messaging|sending|contacting)\b|\bunsubscribe\b|\bopt(ing)? out\b")

_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_PLEASE = re.compile(r"\b(please|pls)\b")

RESUBSCRIBE = "The person can opt in again by sending START to the number that the messages came from."


def plain(text: str) -> str:
    """A message's words as they are compared: letter case, width, a please, signs around and spaces do not matter."""
    said = _PLEASE.sub(" ", unicodedata.normalize("NFKC", text).casefold())
    return _EDGES.sub("", " ".join(said.split()))


def read(text: str) -> Wish | None:
    """What a message's words ask for."""
    words = plain(text)
    if words in _START:
        return Wish.START
    if words in _STOP or _SENTENCE.search(words):
        return Wish.STOP
    return Wish.HELP if words in {"help", "info"} else None


def wish(autoresponse: str | None, text: str) -> Wish | None:
    """The carrier's classification (`STOP`, `START`, `HELP`) if it made one, our own reading otherwise."""
    if autoresponse:
        word = autoresponse.casefold()
        return Wish(word) if word in set(Wish) else None
    return read(text)
