"""What a person's reply means: the whole message is read, never a word inside it.

Quotes, signatures, invisible characters, punctuation and courtesy are taken off. The rest must be phrases of a fixed
list (`phrases`), one or several; any other word in it makes the reply unclear, and an unclear reply changes nothing.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from . import phrases, quotes
from .optout import Wish

MAX_CHARS = 4_000
"""Longer replies are not read: an SMS has at most 1,600."""

_MAX_WORDS = 14
_NO = "no"
_KINDS = {
    Wish.STOP: phrases.STOP,
    Wish.START: phrases.START,
    Wish.HELP: phrases.HELP,
}
_LEADING, _TRAILING = phrases.edges(phrases.COURTESY)
_SPELLED = re.compile(r"(?<!\w)(?:[^\W\d_][ .*_-]+)+[^\W\d_](?!\w)")
_NOT_NOW = re.compile("(?:no|non|nein|nao) (?:now|jetzt|maintenant|ahora|ya|adesso|agora)|ya no")
_ABOUT_WHAT = re.compile(
    "cancel|end|quit|remove|revoke|cease|beenden|ende|abbrechen|annuler|annulez|fin|cancelar|terminar|annulla|termina"
)
_UNFINISHED = re.compile(r"(?:\S+ )*(?:no|not|non|didnt|never|nein|nicht|pas|request(?:ed)?|ask(?:ed)?)")
_BREAK = re.compile(r"[^\w\s'`´’‘-]+|\n|(?<!\w)-|-(?!\w)")
_SIGNED_BESIDE = re.compile(r"(?m)[ ]+[–—~-][ ]*(?=[A-Z][^\W\d_]+(?:[ ][A-Z][^\W\d_]+)?[ ]*$)")
_SIGNED = re.compile(r"[~–—-]?\s*(?:[^\W\d_]\S*|[+(]?[0-9][0-9 ()./+-]*|\S+@\S+|&)")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply asks for. `unclear`: it has a word of opting out and was not understood.

    `segments` are its sentences and lines as they are compared, without quotes and courtesy.
    """

    wish: Wish | None
    unclear: bool
    segments: tuple[str, ...]

    def denies(self, words: Collection[str]) -> bool:
        """Whether it says "that wasn't me" in an app's words (`plain`); "no" stands for all phrases of the list."""
        known = [segment for segment in self.segments if segment in words or (_NO in words and _denies(segment))]
        others = [segment for segment in self.segments if segment not in known]
        if " ".join(self.segments) in words:
            return True
        return bool(known) and all(phrases.pattern(_KINDS[Wish.STOP]).fullmatch(segment) for segment in others)


def plain(text: str) -> str:
    """A phrase as it is compared: without case, accents, width, punctuation, courtesy and invisible characters."""
    return " ".join(_segments(quotes.clean(text)))


def read(text: str) -> Reading:
    """Read a whole reply. Never raises, whatever the text."""
    cleaned = quotes.clean(text[:MAX_CHARS])
    rest = quotes.without_quotes(cleaned)
    if len(text) > MAX_CHARS:
        return Reading(None, _has_stop_word(rest), ())
    lines = _lines(rest)
    for candidate in (lines, _lines(quotes.without_quotes(quotes.before_mail(cleaned))), _unsigned(lines)):
        segments = tuple(segment for line in candidate for segment in _segments(line))
        kinds = {_kind(segment) for segment in segments}
        if kinds and None not in kinds:
            return Reading(_wish(kinds), len(kinds & {Wish.STOP, Wish.START}) == 2, segments)
    return Reading(None, _has_stop_word(rest), tuple(s for line in lines for s in _segments(line)))


def _kind(segment: str) -> Wish | str | None:
    if len(segment.split()) > _MAX_WORDS:
        return None
    found = next((wish for wish, known in _KINDS.items() if phrases.pattern(known).fullmatch(segment)), None)
    return found or (_NO if _denies(segment) else None)


def _denies(segment: str) -> bool:
    return len(segment.split()) <= _MAX_WORDS and phrases.pattern(phrases.DENIAL).fullmatch(segment) is not None


def _wish(kinds: Collection[Wish | str | None]) -> Wish | None:
    if Wish.STOP in kinds:
        return None if Wish.START in kinds else Wish.STOP
    if _NO in kinds:
        return None
    return Wish.START if Wish.START in kinds else Wish.HELP


def _lines(rest: str) -> list[str]:
    """The lines of a reply. What stands beside a quote in its line introduces it, unless it is a phrase."""
    lines = []
    for line in rest.split("\n"):
        beside = line.replace(quotes.MARK, " ")
        if quotes.MARK not in line or all(_kind(segment) for segment in _segments(beside)):
            lines.append(beside)
    return lines


def _unsigned(lines: list[str]) -> list[str]:
    """Only the first line, if those after it, or what a dash parts off, look like a name, an address or a number."""
    said = [line for line in _SIGNED_BESIDE.sub("\n", "\n".join(lines)).split("\n") if _segments(line)]
    signature = [word for line in said[1:] for word in line.split() if re.search(r"\w", word)]
    named = all(_SIGNED.fullmatch(word) and (not word.isalpha() or word.istitle()) for word in signature)
    return said[:1] if 0 < len(signature) <= 8 and named else []


def _segments(text: str) -> list[str]:
    """The sentences of a text, each as bare words, without those that are only polite."""
    found = []
    for part in _BREAK.split(_SPELLED.sub(_joined, text)):
        words = _without_courtesy(_words(part))
        if words:
            found.extend(_parted(words))
    return found


def _parted(words: str) -> list[str]:
    """The sentence; or both, where a person wrote a wish to opt out and a denial with no sign between them.

    "no stop" stays one, and so does "cancel that was not me": there the denial may say what is to be canceled.
    """
    each = words.split()
    if len(each) <= _MAX_WORDS and _kind(words) is None:
        for at in range(1, len(each)):
            parts = [_without_courtesy(" ".join(one)) for one in (each[:at], each[at:])]
            if _is_wish_and_denial(*parts) or _is_wish_and_denial(*reversed(parts)):
                return parts
    return [words]


def _is_wish_and_denial(wish: str, denial: str) -> bool:
    if _ABOUT_WHAT.fullmatch(wish) or _UNFINISHED.fullmatch(denial) or " " not in denial:
        return False
    return phrases.pattern(phrases.STOP).fullmatch(wish) is not None and _denies(denial)


def _joined(found: re.Match[str]) -> str:
    # S.T.O.P, S T O P
    word = re.sub(r"[ .*_-]", "", found[0])
    return word if _words(word) in phrases.STOP_WORDS or _words(word) == _NO else found[0]


def _words(part: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", part.casefold()) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^\w\s-]", "", bare).replace("ß", "ss").replace("-", " ").replace("_", " ").split())


def _without_courtesy(words: str) -> str:
    if _NOT_NOW.fullmatch(words):
        return words
    leading = _LEADING.match(words)
    words = words[leading.end() :] if leading else words
    trailing = _TRAILING.search(words)
    return words[: trailing.start()] if trailing else words


def _has_stop_word(rest: str) -> bool:
    return not phrases.STOP_WORDS.isdisjoint(_words(rest.replace(quotes.MARK, " ")).split())
