"""Replies that a trial of the running service found unread, and others of their kind that must not be misread."""

import pytest

from otp_service.domain.message_templates import TEMPLATES
from otp_service.domain.message_text import heard, render
from otp_service.domain.optout import Wish
from otp_service.domain.replies import read

from .rendered_texts import NO

STOP = (
    *("pls stop sending me these", "STOP. I didn't sign up for this", "Lose my number", "stop txting me", "quit it"),
    *("cut it out", "Stop dude", "cancel all", "Cancel subscription", "unsubcribe", "UNSUBSCIBE", "unsubscribed"),
    *("2stop", "Unsubscribing", "stop with the texts", "no more codes", "stop, who is this", "who is this? stop"),
    *("Ich möchte keine Nachrichten mehr bekommen", "SMS abbestellen", "Stoppen Sie das", "Stoppt", "stop das"),
    *("Stop bitte, keine weiteren Nachrichten", "Schluss jetzt!", "bitte entfernen Sie mich", "Kontakt löschen"),
    *("Nehmen Sie mich aus der Liste", "Stoppe die SMS", "arrêter les sms", "stop aux sms", "se désinscrire"),
    *("je ne souhaite plus recevoir de sms", "retirez mon numéro", "foutez-moi la paix", "ça suffit !"),
    *("Dejen de molestar", "deja de enviarme mensajes", "Quítenme de la lista", "cancelen", "cese"),
    *("smettila di scrivermi", "Basta così", "toglietemi dalla lista", "Rimuovetemi dalla lista", "Stop agli sms"),
    *("non desidero più ricevere messaggi", "parem de me enviar mensagens", "remova meu número", "me tire da lista"),
    *("Stop\n\nMit freundlichen Grüßen\nHans Müller", "stop\nThx\nBob", "STOP\n\nEnviado desde mi iPhone"),
    *(
        "STOP\n\nInviato da iPhone",
        "Stop\nSent from Yahoo Mail on Android",
        "Stop,\nBest,\nMaria Lopez\n+1 202 555 0143",
    ),
)

DENIAL = (
    *("No way", "hell no", "Absolutely not!", "no ma'am", "I did not login", "This wasn't my request", "No I didn't"),
    *("You have the wrong person", "no!! who is doing this", "No, someone is trying to hack me", "I'm being hacked"),
    *("someone else is trying to log in", "That's not me logging in", "That was someone else", "not authorized"),
    *("I didn't authorize this", "Unauthorised", "That login wasn't me", "deny", "Rejected", "no, I did not"),
    *("Das bin nicht ich", "Das war jemand anderes", "das kommt nicht von mir", "ich hab nix angefordert", "Nee"),
    *("wurde nicht von mir angefordert", "Habe keinen Code angefordert", "Den Code habe ich nicht angefordert"),
    *("ce n'est pas moi qui ai demandé", "C’est pas moi qui ai demandé ce code", "Pas demandé"),
    *("no lo reconozco", "No reconozco este código", "No autorizo", "Non sono io che ho richiesto il codice"),
    *("Non ho fatto io la richiesta", "Não solicitei este código", "eu não pedi", "não reconheço"),
)

NEITHER = (
    *("Nothing", "Now", "none", "Not yet", "not working", "no signal", "No code yet", "no entiendo", "no funciona"),
    *("No me llega el código", "non funziona", "geht nicht", "Kein Code angekommen", "No he recibido el código"),
    *("No, it doesn't work", "no, the code is wrong", "no I need another code", "No, send it again", "keine SMS"),
    *(
        "non, renvoyez le code",
        "Nein, bitte neu senden",
        "I did not receive the code",
        "I never got it",
        "who is this?",
    ),
    *("it was me", "yes it was me", "ja das war ich", "stopwatch", "Do I reply STOP?", "should I say NO?"),
    *(
        "Reply NO",
        "Not you?",
        "parada de autobús",
        "Alto Adige",
        "baja california",
        "para mí",
        "arrêt de bus",
        "am Ende",
    ),
    *("I didn't sign up for this", "no stop texting me", "stop sign", "Cancel my appointment", "denied boarding"),
)

REACTIONS = (
    *("Liked “{}”", "Loved “{}”", "Emphasized “{}”", "Questioned “{}”", "Laughed at “{}”", "Disliked “{}”"),
    *("Removed a like from “{}”", "Reacted 😂 to “{}”", "👍 to “{}”", "👍 a “{}”", "❤️ à « {} »", '😮 to "{}"'),
    *("Le encantó “{}”", "Le dio risa “{}”", "Reaccionó con 👍 a “{}”", "Gefällt „{}“", "Liebt „{}“"),
    *("Hat über „{}“ gelacht", "Hat „{}“ hervorgehoben", "Mit 👍 auf „{}“ reagiert", "A aimé « {} »", "A ri de « {} »"),
    *("A mis l’accent sur « {} »", "A réagi avec 👍 à « {} »", "Ha messo “Mi piace” a “{}”", "Ha riso per “{}”"),
    *("Ha reagito con 👍 a “{}”", "Curtiu “{}”", "Reagiu com 👍 a “{}”", "> {}", "Fwd: {}", "“{}”"),
)


@pytest.mark.parametrize("text", STOP)
def test_a_wish_to_opt_out_is_understood(text: str) -> None:
    """In every language that we send in, with courtesy, complaints and signatures around it."""
    assert read(text).wish is Wish.STOP


@pytest.mark.parametrize("text", DENIAL)
def test_a_denial_is_understood(text: str) -> None:
    """And opts nobody out."""
    assert read(text).denies(NO)
    assert read(text).wish is None


@pytest.mark.parametrize("text", NEITHER)
def test_what_means_neither_changes_nothing(text: str) -> None:
    """Also where it begins with "no", or repeats what we asked for."""
    assert read(text).wish is None
    assert not read(text).denies(NO)


@pytest.mark.parametrize("locale", sorted(TEMPLATES))
def test_a_reaction_to_a_text_that_asks_for_a_denial_changes_nothing(locale: str) -> None:
    """The text says STOP and NO; who reacts to it says neither."""
    words = {"code": "314159", "brand": "Acme", "lifetime_s": 300, "locale": locale, "context": None, "autofill": None}
    text = render(**words, denials=heard(NO))  # type: ignore[arg-type]
    assert TEMPLATES[locale].deny in text
    for form in REACTIONS:
        reading = read(form.format(text))
        assert (reading.wish, reading.denies(NO), reading.unclear) == (None, False, False), form
