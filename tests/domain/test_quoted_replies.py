"""What a reply quotes of our own texts is no part of what the person writes."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.message_templates import TEMPLATES
from otp_service.domain.message_text import Autofill, heard, hides_code, printable, render
from otp_service.domain.optout import Wish
from otp_service.domain.replies import read

from .rendered_texts import NO, rendered

QUOTES: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: f"“{text}”",
    lambda text: f'"{text}"',
    lambda text: f"« {text} »",
    lambda text: f"„{text}“",
    *(
        lambda text, verb=verb: f"{verb} “{text}”"
        for verb in (
            *("Liked", "Loved", "Disliked", "Laughed at", "Emphasized", "Questioned", "Reacted 👍 to", "👍 to"),
            *("Removed a like from", "Removed a heart from", "Removed an exclamation from", "Removed 👍 from"),
            *("Le gustó", "Ha messo Mi piace a", "Curtiu", "❤️ to", "Emphasised", "Mi piace", "Gostou de", "Fwd:"),
        )
    ),
    lambda text: f'Liked "{text}"',
    lambda text: f"Gefällt „{text}“",
    lambda text: f"A aimé « {text} »",
    lambda text: f"Hat „{text}“ mit „Gefällt mir“ markiert",
    lambda text: "\n".join(f"> {line}" for line in text.split("\n")),
    lambda text: f"On Mon, Nov 23, 2026 at 10:00 AM Acme <sms@example.com> wrote:\n> {text}",
    lambda text: f"On Mon, 23 Nov 2026,\nAcme <sms@example.com> wrote:\n\n{text}",
    lambda text: f"Am 23.11.2026 um 10:00 schrieb Acme:\n{text}",
    lambda text: f"Le lun. 23 nov. 2026 à 10:00, Acme a écrit :\n{text}",
    lambda text: f"-----Original Message-----\n{text}",
    lambda text: f"-----Original Message-----\nFrom: Acme\nSent: Monday\nTo: me\nSubject: code\n\n{text}",
)


def texts() -> st.SearchStrategy[str]:
    """Any text that the service can send."""
    words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=40)
    allowed = words.filter(lambda text: printable(text) and not hides_code(text) and bool(text.strip()))
    tricky = st.sampled_from(["Acme", "STOP Shop", "Stop", "x” STOP “y", "NO", "Don't stop"])
    web = st.from_regex(r"[a-z]{1,10}(\.[a-z]{2,8}){1,3}", fullmatch=True)
    return st.builds(
        rendered,
        code=st.from_regex(r"[0-9]{4,10}", fullmatch=True).filter(str.isascii),
        brand=tricky | allowed,
        lifetime_s=st.sampled_from([30, 60, 119, 300, 600]),
        locale=st.sampled_from(sorted(TEMPLATES)),
        context=st.none() | st.fixed_dictionaries({"amount": tricky | allowed, "payee": tricky | allowed}),
        autofill=st.none()
        | st.builds(Autofill, web_origin=web)
        | st.builds(Autofill, android_hash=st.sampled_from(["FA+9qCX9VSu", "abcdefghijk", "ABCDEFG/123"])),
        replies=st.booleans(),
        denials=st.sampled_from([(), heard(NO)]),
    ).filter(bool)


@given(texts(), st.sampled_from(QUOTES))
def test_a_quote_of_a_text_of_ours_changes_nothing(text: str, quote: Callable[[str], str]) -> None:
    """In no language and no form, and it is not unclear either: nobody has to look at it."""
    reading = read(quote(text))
    assert reading.wish is None
    assert not reading.denies(NO)
    assert not reading.unclear


@given(texts(), st.sampled_from(QUOTES), st.sampled_from(["STOP", "Unsubscribe", "ARRÊT", "please stop", "not me"]))
def test_a_keyword_in_a_line_of_its_own_beside_a_quote_is_the_keyword(
    text: str, quote: Callable[[str], str], word: str
) -> None:
    """Above the quote and below it."""
    for reply in (f"{word}\n{quote(text)}", f"{quote(text)}\n{word}", f"{quote(text)}\n\n{word}"):
        assert (read(reply).wish is Wish.STOP) is (word != "not me"), reply
        assert read(reply).denies(NO) is (word == "not me"), reply


@pytest.mark.parametrize("locale", sorted(TEMPLATES))
def test_a_quote_that_is_cut_short_changes_nothing(locale: str) -> None:
    """Phones shorten long quotes, anywhere."""
    words = {"code": "314159", "brand": "Acme", "lifetime_s": 300, "locale": locale}
    for autofill, context, denials in itertools.product(
        (None, Autofill(web_origin="example.com")), (None, {"amount": "EUR 5", "payee": "STOP"}), ((), heard(NO))
    ):
        text = render(**words, context=context, autofill=autofill, denials=denials)  # type: ignore[arg-type]
        for length in range(len(text)):
            for reply in (
                text[:length],
                f"{text[:length]}…",
                f"Liked “{text[:length]}...”",
                f"👍 to “{text[:length]}…”",
            ):
                assert read(reply).wish is None, reply
                assert not read(reply).denies(NO), reply
