"""The templates of the SMS by language: GSM-7 characters only, so that a message is one segment in the usual case.

`{code}`, `{brand}`, `{what}` (amount and payee) and `{n}` (minutes) are replaced by `message_text`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """The sentences of one language: for a login, for a payment, about the expiry, the caution, how to say that it was
    somebody else, how to opt out. `no` is the word that `deny` asks for, as replies are compared."""

    login: str
    pay: str
    minutes: str
    minute: str
    caution: str
    deny: str
    no: str
    stop: str


# Without the acute a, o and u of Spanish: they are not in GSM-7, and one of them turns the whole message into UCS-2.
TEMPLATES = {
    "en": Template(
        "{code} is your {brand} code.",
        "{code} is your {brand} code for {what}.",
        "It expires in {n} minutes.",
        "It expires in one minute.",
        "Do not share it.",
        "Not you? Reply NO.",
        "no",
        "Reply STOP to opt out.",
    ),
    "de": Template(
        "{code} ist dein Code für {brand}.",
        "{code} ist dein Code für {brand}: {what}.",
        "Er gilt {n} Minuten.",
        "Er gilt eine Minute.",
        "Gib ihn nicht weiter.",
        "Nicht du? Antworte NEIN.",
        "nein",
        "Abmelden mit STOP.",
    ),
    "fr": Template(
        "{code} est votre code {brand}.",
        "{code} est votre code {brand} pour {what}.",
        "Il expire dans {n} minutes.",
        "Il expire dans une minute.",
        "Ne le partagez pas.",
        "Pas vous ? Répondez NON.",
        "non",
        "STOP pour ne plus recevoir.",
    ),
    "es": Template(
        "{code} es tu codigo de {brand}.",
        "{code} es tu codigo de {brand} para {what}.",
        "Caduca en {n} minutos.",
        "Caduca en un minuto.",
        "No lo compartas.",
        "¿No eres tu? Responde NO.",
        "no",
        "Responde STOP para no recibir mas.",
    ),
    "it": Template(
        "{code} è il tuo codice {brand}.",
        "{code} è il tuo codice {brand} per {what}.",
        "Scade tra {n} minuti.",
        "Scade tra un minuto.",
        "Non condividerlo.",
        "Non sei tu? Rispondi NO.",
        "no",
        "Rispondi STOP per non riceverne altri.",
    ),
}


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What all texts of one language have in common: after the code, and the sentences at the end."""

    opening: str
    caution: str
    deny: str
    stop: str


def skeletons() -> tuple[Skeleton, ...]:
    """The fixed parts of the texts of each language, by which a quote of one is known."""
    return tuple(
        Skeleton(words.login.removeprefix("{code}").partition("{")[0].strip(), words.caution, words.deny, words.stop)
        for words in TEMPLATES.values()
    )
