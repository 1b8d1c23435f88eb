"""Notices: messages without a code, which tell a person that a number of their account has changed.

A notice goes the way of a code: by the app's route, under the number's opt-outs, limits and caps. So it is a
verification of a purpose of its own, which no code approves.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from .errors import SealBroken
from .message_templates import TEMPLATES


class Notice(StrEnum):
    """What a notice is about. The word is also the purpose of its verification; callers cannot use it."""

    ADDED = "number_added"
    """Another number was bound to the account."""
    REMOVED = "number_removed"
    """This number was taken from the account."""


PURPOSES = frozenset(Notice)


@dataclass(frozen=True, slots=True)
class Words:
    """The sentences of one language. GSM-7 characters only."""

    added: str
    removed: str


# As in the templates of codes: no acute a, i, o or u of Spanish.
_WORDS = {
    "en": Words(
        "{brand}: another phone number was added to your account. If that was not you, contact us.",
        "{brand}: this phone number was removed from your account. If that was not you, contact us.",
    ),
    "de": Words(
        "{brand}: Zu deinem Konto kam eine weitere Telefonnummer dazu. Warst du das nicht, melde dich bei uns.",
        "{brand}: Diese Telefonnummer wurde aus deinem Konto entfernt. Warst du das nicht, melde dich bei uns.",
    ),
    "fr": Words(
        "{brand} : un autre numéro de téléphone est associé à votre compte. Si ce n'est pas vous, contactez-nous.",
        "{brand} : ce numéro de téléphone n'est plus associé à votre compte. Si ce n'est pas vous, contactez-nous.",
    ),
    "es": Words(
        "{brand}: tu cuenta tiene un nuevo telefono. Si no has sido quien lo ha cambiado, escribe a nuestro soporte.",
        "{brand}: este telefono ya no es de tu cuenta. Si no has sido quien lo ha cambiado, escribe a nuestro soporte.",
    ),
    "it": Words(
        "{brand}: un altro numero di telefono è stato aggiunto al tuo account. Se non sei stato tu, contattaci.",
        "{brand}: questo numero di telefono è stato tolto dal tuo account. Se non sei stato tu, contattaci.",
    ),
}


def render(notice: Notice, *, brand: str, language: str, replies: bool) -> str:
    """The text. `language` is one of the templates'; `replies`: the sender can receive a STOP."""
    words, stop = _WORDS[language], TEMPLATES[language].stop
    text = {Notice.ADDED: words.added, Notice.REMOVED: words.removed}[notice].replace("{brand}", brand)
    return f"{text} {stop}" if replies else text


@dataclass(frozen=True, slots=True)
class BoundNumber:
    """The number of a subject, and the language in which it was written to. It stands sealed beside the factor."""

    to: str = field(repr=False)
    language: str


def pack_number(subject_hash: str, number: BoundNumber) -> bytes:
    """The bytes to seal. They name the subject, so that they cannot be taken for another one's."""
    return msgspec.json.encode((subject_hash, number.to, number.language))


def unpack_number(subject_hash: str, plain: bytes) -> BoundNumber:
    """Undo `pack_number`. Raises SealBroken for the number of another subject."""
    of, to, language = msgspec.json.decode(plain, type=tuple[str, str, str])
    if of != subject_hash:
        raise SealBroken("the sealed number belongs to another subject")
    return BoundNumber(to, language)
