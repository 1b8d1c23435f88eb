"""Replies are read whole: what people write to opt out, opt in or deny is understood."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.optout import Wish
from otp_service.domain.replies import MAX_CHARS, plain, read

from .rendered_texts import NO

STOP = {
    "en": (
        *("STOP", "stop.", " Stop ", "ＳＴＯＰ", "opt out", "OPT-OUT", "OptOut", "Revoke", "END", "quit!", "cancel"),
        *(
            "unsubscribe",
            "StopAll",
            "stop all",
            '"stop"',
            "(STOP)",
            "“STOP”",
            "stop\n",
            "STOP!!!",
            "stooop",
            "stop stop",
        ),
        *("please stop texting me", "Stop  texting me!", "opting out", "please unsubscribe this number", "stop now"),
        *(
            "quit messaging me",
            "Stop. Thank you",
            "Wrong number, stop",
            "Stop, please",
            "STOP to end",
            "stop to opt out",
            "please remove me",
        ),
        *(
            "Please remove me from your list.",
            "take me off your list",
            "Take my number off this list!",
            "no more texts",
        ),
        *("No more messages please", "do not text me", "Don't text me again", "don’t send me any more texts", "remove"),
        *(
            "stop sending me these text messages",
            "STOP ALL TEXTS",
            "stop messages",
            "unsubscribe me",
            "Opt me out, thx",
        ),
        *("I want to unsubscribe", "I would like to opt out", "I revoke my consent", "leave me alone", "ok stop"),
        *("hi, stop", "stop & unsubscribe", "STOP / END", "Stop and unsubscribe", "S.T.O.P.", "s t o p", "stop 🛑🛑"),
        *("🛑 STOP", "stop :)", "*STOP*", "~stop~", "-STOP-", "STOP…", "stop it", "delete my number", "unsub"),
        *("STOP TEXTING THIS NUMBER", "end texts", "Stop sending these", "Stop calling and texting me", "No more"),
        *("I no longer wish to receive texts", "remove my phone number", "Unsubscribe all", "wrong person, stop"),
        *("You have the wrong number, please stop texting", "STOP - John", "Stop, thank you so much", "RE: STOP"),
        *("I don't want these messages", "stop texting", "quit sending me codes", "stop spamming me", "Just stop!"),
    ),
    "de": (
        *(
            "STOPP",
            "Stopp!",
            "abmelden",
            "Abmeldung",
            "bitte abmelden",
            "Keine SMS mehr",
            "keine Nachrichten mehr bitte",
        ),
        *("Hör auf", "Hören Sie auf!", "Ich möchte mich abmelden", "KÜNDIGEN", "widerrufen", "Stopp, danke", "beenden"),
        *("Melden Sie mich ab", "stop bitte", "abbestellen", "Bitte löschen Sie meine Nummer", "keine weiteren SMS"),
        *("Hören Sie auf, mir SMS zu schicken", "Lasst mich in Ruhe!", "bitte nicht mehr schreiben"),
    ),
    "fr": (
        *("ARRET", "ARRÊT", "arrêt.", "arrêter", "Arrêtez s'il vous plaît", "désabonner", "DESABONNEMENT", "stop svp"),
        *(
            "annuler",
            "FIN",
            "se" + "",
            "STOP SMS",
            "stop pub",
            "plus de messages",
            "Arrêtez de m'envoyer des SMS, merci",
        ),
        *(
            "désinscrire",
            "me désabonner",
            "stop merci",
            "ne plus recevoir",
            "Je veux me désabonner",
            "Veuillez arrêter",
        ),
        *("supprimez mon numéro", "laissez-moi tranquille"),
    ),
    "es": (
        *("PARAR", "pare", "ALTO", "BAJA", "CANCELAR", "Darme de baja", "no más mensajes", "basta", "Alto, por favor"),
        *("Quiero darme de baja", "no me envíen más mensajes", "cancelar suscripción", "detener", "parar gracias"),
        *("Ya no quiero recibir mensajes", "quiero cancelar", "borren mi número", "No me manden mensajes"),
    ),
    "it": (
        *(
            "FERMA",
            "ANNULLA",
            "DISISCRIVI",
            "disiscrivimi",
            "Fermatevi!",
            "basta messaggi",
            "cancellami",
            "stop grazie",
        ),
        *("per favore rimuovimi", "non scrivetemi più", "niente più SMS", "interrompi", "Cancellate il mio numero"),
        *("non voglio ricevere altri messaggi", "disiscrivetemi"),
    ),
}
STOP["fr"] = tuple(text for text in STOP["fr"] if text != "se")
NOTHING = (
    *(
        "",
        "123456",
        "yes",
        "what is this?",
        "ok",
        "\x00",
        "thanks",
        "please",
        "👍",
        "?",
        "who is this",
        "endless",
        "hello",
    ),
    *("we must stop sending money there", "the bus stop is near", "stopping by", "don't stop", "please don't stop"),
    *("I can't stop laughing", "stop by later", "Where is the next stop?", "one-stop shop", "STOP sign", "nonstop"),
    *("this is the end of the line", "cancel my order 12", "I quit smoking", "to be or not to be, end of story"),
    *("How do I unsubscribe?", "did you get my stop?", "STOP\nsending money there", "stop or I call the police"),
    *('I said "STOP"', "Liked “STOP”", "👍 to “STOP”", "Removed a like from “STOP”", "Laughed at “please stop”"),
    *("Reacted 😂 to “stop texting me”", "Emphasised “STOP ALL”", "A aimé « STOP »", "Gefällt „STOPP“", "> STOP"),
    *("STOP START", "no stop", "Reply STOP to opt out.", "Abmelden mit STOP.", "STOP pour ne plus recevoir."),
    *(
        "Responde STOP para no recibir mas.",
        "Rispondi STOP per non riceverne altri.",
        "Reply STOP to…",
        "fine",
        "Fine.",
    ),
    *("You have successfully been unsubscribed. Reply START to resubscribe.", "We are in the alto section", "bajar"),
    *("ich will nicht abmelden sagen", "je ne peux pas m'arrêter de rire", "no puedo parar de reír", "il film è fine"),
    *("cancel my appointment", "remove the charge", "no more beer", "you have no more credit", "wrong number"),
    *("I will cancel messages later maybe", "end of texts", "nicht mehr heute", "Baja California", "arrêt de bus"),
    *("subscribe to my channel", "let's start now then", "-- \nSTOP", "stop" + " please" * 3_000),
)
DENIALS = {
    "en": (
        *(
            "NO",
            "No!",
            "no.",
            "nope",
            "No thanks",
            "no, thank you",
            "not me",
            "NOT ME!!",
            "it wasn't me",
            "It wasn’t me",
        ),
        *(
            "that wasn't me",
            "wasnt me",
            "I didn't request this",
            "I did not request this",
            "This was not me.",
            "No no no",
        ),
        *("no, it wasn't me", "I didn't ask for this code".replace(" code", ""), "didn't request this", "no 😡"),
        *("I didn't try to log in", "I'm not logging in", "that's not my code", "wrong person", "not by me", "nah"),
        *("I never requested this", "NO\nSent from my iPhone", "N\u200bO", "that's not me", "I didn’t request a code"),
    ),
    "de": (
        *(
            "nein",
            "Nein danke",
            "nicht ich",
            "Das war ich nicht",
            "ich war das nicht!",
            "war ich nicht",
            "Nein, danke!",
        ),
        *("Das habe ich nicht angefordert", "Ich habe keinen Code angefordert", "nicht von mir"),
        *("Das war nicht ich", "Ich habe mich nicht angemeldet"),
    ),
    "fr": (
        *("non", "Non merci", "pas moi", "ce n'est pas moi", "C'est pas moi", "ce n’était pas moi", "Non, pas moi"),
        *("je n'ai pas demandé ce code", "Je n'ai rien demandé", "Je ne suis pas à l'origine de cette demande"),
    ),
    "es": (
        *("no gracias", "no soy yo", "No fui yo", "yo no fui", "no he sido yo", "yo no", "No, gracias"),
        *("no fui yo quien lo pidió", "não fui eu"),
        *("no lo solicité", "yo no pedí esto", "no he pedido este código"),
    ),
    "it": (
        *("no grazie", "non sono io", "non sono stato io", "Non sono stata io!", "non ero io", "io no"),
        *("non sono stato io a richiederlo",),
        *("non l'ho richiesto", "non ho richiesto nessun codice", "No, non sono io"),
    ),
}
NO_DENIALS = (
    *("", "I have no idea", "no one told me", "there is no code", "why not me?!x", "no way home", "I said no to him"),
    *(
        "know",
        "is it not me who asked",
        "yes it was me",
        "it was me",
        "not now",
        "no problem, thanks a lot",
        "123456 no more",
    ),
    *("Liked “NO”", "> no", "Reacted 👎 to “it wasn't me”", "ich nehme nicht ab", "non è vero", "no sé qué es"),
    *("not my problem", "nah, it was me", "not my fault", "wrong person to ask", "someone else told me"),
    *("No, but yes", "STOP", "maybe. no? perhaps"),
)


@pytest.mark.parametrize("text", [text for texts in STOP.values() for text in texts])
def test_any_reasonable_wording_stops(text: str) -> None:
    """The whole message is a phrase of the list; case, accents, signs and courtesy do not matter (47 CFR 64.1200)."""
    reading = read(text)
    assert reading.wish is Wish.STOP
    assert not reading.unclear


@pytest.mark.parametrize("text", NOTHING)
def test_a_word_inside_something_else_is_no_wish(text: str) -> None:
    """Neither in a sentence nor in a quote."""
    assert read(text).wish is None


@pytest.mark.parametrize(
    ("text", "unclear"),
    [
        *[(text, True) for text in ("we must stop sending money there", "don't stop", "no stop", "STOP START")],
        *[(text, True) for text in ("How do I unsubscribe?", "je ne sais pas, arrêt ?", 'I said "STOP"')],
        *[(text, False) for text in ("what is this?", "123456", "no", "STOP", "START", "Liked “STOP”", "> STOP")],
        *[(text, False) for text in ("👍 to “STOP”", "Reply STOP to opt out.", "I have no idea")],
    ],
)
def test_what_has_a_stop_word_and_is_not_understood_is_unclear(text: str, unclear: bool) -> None:
    """A person will look at it; what was understood, and quotes, are not unclear."""
    assert read(text).unclear is unclear


@pytest.mark.parametrize("text", [text for texts in DENIALS.values() for text in texts])
def test_that_was_not_me_is_understood_in_the_languages_we_send_in(text: str) -> None:
    """It denies and opts nobody out."""
    reading = read(text)
    assert reading.denies(NO)
    assert reading.wish is None
    assert not reading.unclear


@pytest.mark.parametrize("text", NO_DENIALS)
def test_a_no_inside_something_else_is_no_denial(text: str) -> None:
    """Only the whole message counts."""
    assert not read(text).denies(NO)


def test_an_apps_own_denial_words_replace_ours() -> None:
    """The phrases of the list belong to the word NO; an app without it has its own words and no other."""
    own = frozenset({plain("Nicht ICH!"), plain("Ça non"), plain("Hilfe, Polizei")})
    assert [read(text).denies(own) for text in ("nicht ich.", "ça NON", "hilfe, polizei", "no", "not me")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert not read("no").denies(frozenset())


@pytest.mark.parametrize("text", ["No. STOP", "Not me! Stop texting me.", "stop\nit wasn't me"])
def test_a_reply_may_deny_and_stop(text: str) -> None:
    """Both are meant."""
    assert read(text).wish is Wish.STOP
    assert read(text).denies(NO)


@pytest.mark.parametrize(
    "text", ["START", "unstop", "Opt in", "opt-in.", " resubscribe ", "start please", "St\u200bart"]
)
def test_a_person_can_come_back(text: str) -> None:
    """The words that opt in again."""
    assert read(text).wish is Wish.START


@pytest.mark.parametrize("text", ["HELP", " info? ", "Hilfe", "aide", "help me please"])
def test_help_is_help(text: str) -> None:
    """It changes nothing, but is understood."""
    assert read(text).wish is Wish.HELP


INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u202a\u202c\u2066\u2069\u180e\ufe0f\u034f"


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(INVISIBLE)), min_size=1, max_size=8))
def test_invisible_characters_hide_nothing(inserted: list[tuple[int, str]]) -> None:
    """Zero-width characters, soft hyphens and direction marks anywhere in the word."""
    text = "STOP"
    for at, character in inserted:
        text = text[:at] + character + text[at:]
    assert read(text).wish is Wish.STOP


SIGNATURES = (
    *(
        "\nSent from my iPhone",
        "\n\nSent from my Samsung Galaxy smartphone.",
        " Sent from my iPhone",
        "\n-- \nJohn Doe",
    ),
    *("\n--\nJohn\n+1 202 555 0143", "\nGet Outlook for iOS", "\nVon meinem iPhone gesendet", "\nJohn Smith"),
    *(
        "\nEnvoyé de mon iPhone",
        "\nEnviado desde mi iPhone",
        "\nInviato da iPhone",
        "\n\nBest regards,\nJohn",
        "\nThanks!",
    ),
    *("\nGesendet mit der GMX Mail App", "\n- John", "\nSent via Yahoo Mail", "\nEnviado do meu iPhone", "\nMerci"),
)


@pytest.mark.parametrize("word", ["STOP", "unsubscribe", "arrêt", "please stop"])
@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_signature_is_no_part_of_the_message(word: str, signature: str) -> None:
    """Phones and mail programs add them."""
    assert read(word + signature).wish is Wish.STOP


# ---- any text -------------------------------------------------------------------------------------------------------


@given(st.text(max_size=200))
def test_reading_a_reply_never_raises(text: str) -> None:
    """People write anything."""
    read(text).denies(NO)


@pytest.mark.parametrize(
    "part",
    ["1234 is your ", "a ", "stop ", 'liked "', "1234 is your \n", "on a wrote ", "\n", "- ", "sent from ", "s.", "> "],
)
def test_a_long_reply_costs_little(part: str) -> None:
    """No text makes the patterns run away: a fifth of a second is what each takes, and one that runs away minutes."""
    begun = time.process_time()
    read(part * (MAX_CHARS // len(part)))
    assert time.process_time() - begun < 30


@pytest.mark.parametrize(
    "text",
    [
        "\u201cSTOP\u201d",
        "\u00abstop\u00bb",
        "STOP \U0001f6d1",
        "\u200bSTOP\u200b",
        "STOP\u2026",
        "please stop",
        "Stop, please!",
        "pls stop",
        "\U0001d412\U0001d413\U0001d40e\U0001d40f",
        "*STOP*",
        "_stop_",
        "STOP\r\n",
        "\u00a0stop\u00a0",
    ],
)
def test_what_phones_put_around_a_word_does_not_hide_it(text: str) -> None:
    """Curly quotes, emoji, invisible spaces, bold letters and courtesy: it is a STOP all the same."""
    assert read(text).wish is Wish.STOP


@pytest.mark.parametrize("text", ["please", "please wait", "pleasestop", "please help me stop smoking"])
def test_courtesy_alone_asks_for_nothing(text: str) -> None:
    """A please makes no wish out of other words."""
    assert read(text).wish is None
