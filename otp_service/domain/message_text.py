"""The text of the SMS: a closed set of templates, GSM-7 characters only, one segment in the usual case.

The code stands in it once as consecutive ASCII digits, before anything a caller supplied, and once more in the last
line where autofill is asked for. Caller's words are inserted as they are, never interpreted.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from .message_templates import TEMPLATES, Template
from .sms_segments import MAX_PARTS, segments

ANDROID_MAX_BYTES = 140
"""The longest message that Android's SMS Retriever reads, in bytes of UTF-8."""

ROUNDING_MS = 5_000
"""A code that has so much less than a whole minute left is said to live that minute."""

CONFIRMED = ("amount", "payee")
"""What of a context stands in the message."""

_BLANK = "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Letters and symbols of Unicode without ink (fillers, the empty Braille pattern)."""

_LANGUAGE = re.compile(r"\s*([A-Za-z]+)")
_DIGITS = re.compile(r"[0-9]{4,}")


@dataclass(frozen=True, slots=True)
class Autofill:
    """What the phone needs to fill the code in: the web origin (WICG one-time codes) or the app's 11-character hash."""

    web_origin: str | None = None
    android_hash: str | None = None


class TextTooLong(ValueError):
    """The message would not fit. What it must say in full is never cut; the sentence names no word of it."""


def language(locale: str | None) -> str:
    """The language of the templates for a BCP 47 tag, also one written with `_` or with extensions; else `en`.

    Raises nothing: a text that is no tag falls back, too.
    """
    match = _LANGUAGE.match(locale or "")
    found = match[1].lower() if match else "en"
    return found if found in TEMPLATES else "en"


def read_autofill(text: str) -> Autofill | None:
    """The autofill of a start as the record keeps it: a JSON object, or nothing."""
    return Autofill(**json.loads(text)) if text else None


def confirms_payment(context: Mapping[str, str] | None) -> bool:
    """Whether the context has what the person must read in the message: an amount or a payee (PSD2 RTS, article 5)."""
    return any(name in (context or {}) for name in CONFIRMED)


def render(
    *,
    code: str,
    brand: str,
    lifetime_s: int,
    locale: str | None,
    context: Mapping[str, str] | None,
    autofill: Autofill | None,
    replies: bool = True,
    denials: Collection[str] = (),
) -> str:
    """The text of one SMS. `lifetime_s` is rounded down to minutes, and left out below one.

    `replies` False: the sender cannot receive a reply, so the text does not ask for STOP. `denials`: the words by which
    the app hears that it was somebody else (see `heard`); the text asks for one where that takes no further part.

    `locale` falls back to its language, then English. With `android_hash` the text stays within 140 bytes
    and ends with the hash (SMS Retriever); with `web_origin` the last line is `@host #code`.
    Raises TextTooLong if it would not fit with amount and payee in full.
    """
    words = TEMPLATES[language(locale)]
    begin = [_head(words, code, brand, context), *_expiry(words, lifetime_s // 60)]
    text = _whole([*begin, f"{words.caution} {words.stop}" if replies else words.caution], autofill, code)
    if segments(text).parts > MAX_PARTS:
        raise TextTooLong(f"The message would take more than {MAX_PARTS} parts.")
    if not (replies and words.no in denials):
        return text
    longer = _whole([*begin, f"{words.caution} {words.deny} {words.stop}"], autofill, code)
    # One that is not longer has left out more than it says.
    return longer if len(longer) > len(text) and segments(longer) == segments(text) else text


def heard(denial_words: Collection[str]) -> Collection[str]:
    """The words of the templates for "that wasn't me" among those that an app hears ("no" stands for all of them)."""
    return {words.no for words in TEMPLATES.values()} if "no" in denial_words else denial_words


def _whole(lines: list[str], autofill: Autofill | None, code: str) -> str:
    if autofill is not None and autofill.android_hash is not None:
        return _fit_android(lines, autofill.android_hash)
    text = " ".join(lines)
    return text if autofill is None or autofill.web_origin is None else f"{text}\n\n@{autofill.web_origin} #{code}"


def longest(
    *,
    code_length: int,
    brand: str,
    ttl_ms: int,
    locale: str | None,
    context: Mapping[str, str] | None,
    autofill: Autofill | None,
) -> str:
    """The longest text that `render` makes for a code of this length and life. Raises TextTooLong."""
    # The sentence about the end is longest with the most minutes, or where the one minute is spelled out.
    lives = (60, (ttl_ms + ROUNDING_MS) // 1000)
    texts = [
        render(code="0" * code_length, brand=brand, lifetime_s=life, locale=locale, context=context, autofill=autofill)
        for life in lives
    ]
    return max(texts, key=len)


def _expiry(words: Template, minutes: int) -> list[str]:
    # Of a code that lives less than a minute there is nothing true to say that would still help.
    if minutes == 0:
        return []
    return [words.minute if minutes == 1 else words.minutes.replace("{n}", str(minutes))]


def _head(words: Template, code: str, brand: str, context: Mapping[str, str] | None) -> str:
    what = " / ".join(context[key] for key in CONFIRMED if key in context) if context else ""
    template = words.pay if what else words.login
    head = ""
    for part in _parts(template):
        head += {"{code}": code, "{brand}": brand, "{what}": what}.get(part, part)
    return head


@cache
def _parts(template: str) -> list[str]:
    """The words of a template and, between them, its places."""
    return re.split(r"(\{[a-z]+\})", template)


def _fit_android(lines: list[str], app_hash: str) -> str:
    # What may be left out: first the caution, then the expiry; never the line with the code and what it confirms.
    for kept in (lines, lines[:-1], lines[:1]):
        text = " ".join(kept) + f"\n\n{app_hash}"
        if len(text.encode()) <= ANDROID_MAX_BYTES:
            return text
    raise TextTooLong(f"The message would take more than the {ANDROID_MAX_BYTES} bytes of SMS Retriever.")


def printable(text: str) -> bool:
    """Whether a caller's or operator's words may stand in a message: no control characters or line breaks."""
    return text.isprintable()


def legible(text: str) -> bool:
    """Whether there is anything in the words that a person can see."""
    return any(c not in _BLANK and unicodedata.category(c)[0] not in "ZCM" for c in text)


def hides_code(text: str) -> bool:
    """Whether words contain a run of four or more digits, which a person could take for the code."""
    return _DIGITS.search(text) is not None
