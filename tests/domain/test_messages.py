"""The words of the SMS: the code is where phones and people look for it, and one segment is enough."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain import message_text, replies
from otp_service.domain.message_templates import TEMPLATES
from otp_service.domain.message_text import (
    Autofill,
    TextTooLong,
    confirms_payment,
    heard,
    hides_code,
    language,
    longest,
    printable,
    render,
)
from otp_service.domain.replies import read
from otp_service.domain.sms_segments import MAX_PARTS, segments

GSM7 = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
CODE = "314159"
HASH = "FA+9qCX9VSu"
WEB, ANDROID = Autofill(web_origin="login.example.com"), Autofill(android_hash=HASH)
PAYMENT = {"amount": "EUR 10.50", "payee": "Bookshop"}
CASES = list(
    itertools.product([None, WEB, ANDROID], [None, PAYMENT, {"payee": "Bookshop"}, {"other": "x"}], [30, 60, 600])
)


def wicg(text: str) -> tuple[str, str] | None:
    """Origin-bound one-time codes, the standard's way of reading a message: (host, code) of the last line."""
    line = text.rsplit("\n", 1)[-1]
    if not line.startswith("@"):
        return None
    host, blank, rest = line[1:].partition(" ")
    if not host or not blank or not rest.startswith("#"):
        return None
    code = rest[1:].split(" ", 1)[0]
    return (host, code) if code and not any(c.isspace() for c in host + code) else None


@pytest.mark.parametrize("locale", [*sorted(TEMPLATES), "de-AT", "EN-us", "xx", "", None])
def test_every_message_is_well_made(locale: str | None) -> None:
    """Code once (and once for autofill), first of all digits; GSM-7; one segment; the brand is named."""
    for autofill, context, lifetime_s in CASES:
        text = render(code=CODE, brand="Acme", lifetime_s=lifetime_s, locale=locale, context=context, autofill=autofill)
        assert text.count(CODE) == (2 if autofill is WEB else 1)
        assert text.startswith(CODE)
        assert "Acme" in text
        assert set(text) <= GSM7, set(text) - GSM7
        assert len(text) <= 160
        assert "{" not in text
        if context is PAYMENT:
            assert "EUR 10.50 / Bookshop" in text
        if autofill is None:
            assert "STOP" in text
        if autofill is WEB:
            assert wicg(text) == ("login.example.com", CODE)
        if autofill is ANDROID:
            assert len(text.encode()) <= message_text.ANDROID_MAX_BYTES
            assert text.endswith(f"\n{HASH}")
            assert wicg(text) is None


@pytest.mark.parametrize("locale", sorted(TEMPLATES))
def test_a_message_that_cannot_be_replied_to_asks_for_no_reply(locale: str) -> None:
    """Without the sentence about STOP it is the same text, in every language and with every autofill line."""
    for autofill, context, lifetime_s in CASES:
        both = [
            render(
                code=CODE,
                brand="Acme",
                lifetime_s=lifetime_s,
                locale=locale,
                context=context,
                autofill=autofill,
                replies=replies,
            )
            for replies in (True, False)
        ]
        assert "STOP" not in both[1]
        if autofill is not ANDROID:
            stop = TEMPLATES[locale].stop
            assert both[0].replace(f" {stop}", "") == both[1]


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=40),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=64),
    st.sampled_from(sorted(TEMPLATES)),
)
def test_an_android_message_fits_or_is_none(brand: str, payee: str, locale: str) -> None:
    """At most 140 bytes with brand and payee in full, the code first, the hash last; nothing is ever cut."""
    words = {"brand": brand, "lifetime_s": 600, "locale": locale, "context": {"payee": payee}}
    try:
        text = render(code="1234567890", autofill=ANDROID, **words)  # type: ignore[arg-type]
    except TextTooLong:
        # Not even the one line that must be said has room.
        whole = render(code="1234567890", autofill=None, **words)  # type: ignore[arg-type]
        assert len(whole.encode()) > 140 - len(f"\n\n{HASH}")
        return
    assert len(text.encode()) <= 140
    assert text.startswith("1234567890 ")
    assert brand in text
    assert payee in text
    assert text.endswith(f"\n\n{HASH}")


@pytest.mark.parametrize(
    ("locale", "found"),
    [
        *[(name, name) for name in sorted(TEMPLATES)],
        *[(f"{name}_AT", name) for name in sorted(TEMPLATES)],
        *[("de_DE", "de"), ("de-DE-1996", "de"), ("DE", "de"), ("de_DE.UTF-8@euro", "de"), (" fr-CA ", "fr")],
        *[("en-US-u-fw-mon-mu-celsius", "en"), ("es-419", "es"), ("it-Latn-IT-x-private", "it"), ("fr\n", "fr")],
        *[("pt-BR", "en"), ("zh-Hant-TW", "en"), ("x-de", "en"), ("i-klingon", "en"), ("deu", "en"), ("C", "en")],
        *[
            ("", "en"),
            (None, "en"),
            ("\x00", "en"),
            ("12", "en"),
            ("ｄｅ", "en"),
            ("d" * 10_000, "en"),
            ("de-" * 9, "de"),
        ],
    ],
)
def test_a_locale_is_never_a_reason_to_refuse(locale: str | None, found: str) -> None:
    """Its language where there are words for it, whatever follows; English for anything else."""
    assert language(locale) == found


@given(st.text(max_size=60))
def test_any_text_is_a_locale(text: str) -> None:
    """Whatever a caller sends, there are words."""
    assert language(text) in sorted(TEMPLATES)


def fits(**words: Any) -> bool:
    """Whether there is a text of these."""
    try:
        render(**words)
    except TextTooLong:
        return False
    return True


# What people and programs write: a few scripts, the extension table, astral characters, combining marks.
some_words = st.text(
    st.characters(codec="utf-8", exclude_categories=["C"]) | st.sampled_from("€[]{}|~^\\\U0001f355e\u0301ŁóA1 "),
    max_size=128,
)


@given(
    context=st.dictionaries(st.sampled_from(["amount", "payee", "order"]), some_words),
    brand=some_words.map(lambda text: text[:40] or "B"),
    locale=st.sampled_from([*sorted(TEMPLATES), "xx"]),
    ttl_s=st.integers(1, 600),
    code=st.from_regex(r"[0-9]{6,10}", fullmatch=True).filter(str.isascii),
    autofill=st.sampled_from([None, WEB, ANDROID, Autofill(web_origin="a." * 120 + "example")]),
    share=st.floats(0, 1),
)
def test_what_is_started_can_be_sent(
    context: dict[str, str],
    brand: str,
    locale: str,
    ttl_s: int,
    code: str,
    autofill: Autofill | None,
    share: float,
) -> None:
    """Either the start is refused as too long, or every text the worker makes has amount and payee and fits."""
    words = {"brand": brand, "locale": locale, "context": context, "autofill": autofill}
    try:
        worst = longest(code_length=len(code), ttl_ms=ttl_s * 1000, **words)  # type: ignore[arg-type]
    except TextTooLong:
        # Nothing is refused that fits in all its forms.
        assert not all(fits(code=code, lifetime_s=life, **words) for life in (60, ttl_s + 5))
        return
    left_ms = int(ttl_s * 1000 * share)
    text = render(code=code, lifetime_s=(left_ms + message_text.ROUNDING_MS) // 1000, **words)  # type: ignore[arg-type]
    assert all(context[name] in text for name in ("amount", "payee") if name in context)
    assert brand in text
    assert text.startswith(code)
    if autofill is ANDROID:
        assert len(text.encode()) <= message_text.ANDROID_MAX_BYTES
        return
    assert segments(text).encoding is segments(worst).encoding
    assert segments(text).parts <= segments(worst).parts <= MAX_PARTS


def test_the_reported_text_does_not_fit() -> None:
    """instedd/surveda#1150: 128 pizzas each and a long origin were more than the carrier takes."""
    pizzas = {"amount": "\U0001f355" * 128, "payee": "\U0001f355" * 128}
    with pytest.raises(TextTooLong, match="10 parts"):
        render(
            code=CODE,
            brand="Acme",
            lifetime_s=300,
            locale="en",
            context=pizzas,
            autofill=Autofill(web_origin="a" * 36 + ".example"),
        )


def test_the_longest_sentence_about_the_end_counts() -> None:
    """In German one minute is longer than nine: the measure is taken with the longest that may be said."""

    def longest_(ttl_ms: int) -> str:
        return longest(code_length=6, brand="B", ttl_ms=ttl_ms, locale="de", context=None, autofill=None)

    assert "Er gilt eine Minute." in longest_(540_000)
    assert "Er gilt eine Minute." in longest_(1_000)
    assert len(longest_(600_000)) >= len(longest_(540_000))


@pytest.mark.parametrize(
    ("context", "payment"),
    [
        (None, False),
        ({}, False),
        ({"order": "7"}, False),
        ({"amount": ""}, True),
        ({"payee": "X", "order": "7"}, True),
    ],
)
def test_a_payment_is_known(context: dict[str, str] | None, payment: bool) -> None:
    """By an amount or a payee, even an empty one."""
    assert confirms_payment(context) is payment


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=40),
    st.from_regex(r"[a-z]{1,10}(\.[a-z]{2,8}){1,3}", fullmatch=True),
    st.from_regex(r"[0-9]{6,10}", fullmatch=True).filter(str.isascii),
)
def test_a_browser_reads_back_what_was_written(brand: str, origin: str, code: str) -> None:
    """The standard's parser finds host and code in every message for the web, whatever stands before."""
    text = render(
        code=code, brand=brand, lifetime_s=300, locale="en", context=None, autofill=Autofill(web_origin=origin)
    )
    assert wicg(text) == (origin, code)


@pytest.mark.parametrize("words", ["{{7*7}}", "{0.__class__}", "{code}", "{brand}", "{n}", "%n%s", "${x}", "\\1", "$1"])
def test_callers_texts_are_never_interpreted(words: str) -> None:
    """Braces, percent signs and backslashes stand in the message as they were given."""
    text = render(code=CODE, brand=words, lifetime_s=300, locale="en", context={"payee": words}, autofill=None)
    assert text.count(words) == 2
    assert text.count(CODE) == 1


@pytest.mark.parametrize(
    ("lifetime_s", "said"), [(300, "5 minutes"), (359, "5 minutes"), (119, "one minute"), (60, "one minute")]
)
def test_the_lifetime_is_never_overstated(lifetime_s: int, said: str) -> None:
    """Rounded down, so that nobody types a code that the message still promised."""
    text = render(code=CODE, brand="Acme", lifetime_s=lifetime_s, locale="en", context=None, autofill=None)
    assert said in text


def test_less_than_a_minute_is_not_mentioned() -> None:
    """There is nothing true to say that would help."""
    text = render(code=CODE, brand="Acme", lifetime_s=59, locale="en", context=None, autofill=None)
    assert "minute" not in text


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\x00", "\x7f", "a\u2028b", "\u202eabc", "\x1b[0m", "\t"])
def test_control_characters_are_not_printable(text: str) -> None:
    """Line breaks and direction marks could fake a line of the message."""
    assert not printable(text)
    assert printable("Café 24 ½")


def test_words_that_look_like_a_code_are_found() -> None:
    """A run of four digits or more could be taken for the code."""
    assert hides_code("call 123456 now")
    assert hides_code("a1234b")
    assert not hides_code("24 hours, 365 days, 12.50")


@pytest.mark.parametrize("locale", sorted(TEMPLATES))
@pytest.mark.parametrize("autofill", [None, Autofill(web_origin="example.com"), Autofill(android_hash="FA+9qCX9VSu")])
def test_a_name_keeps_its_accents(locale: str, autofill: Autofill | None) -> None:
    """Who is paid stands in the message as the caller wrote it: nobody approves a payment to a changed name."""
    payee = "Íñigo Pérez Ródenas âêú"
    text = render(
        code="123456", brand="Cafó", lifetime_s=300, locale=locale, context={"payee": payee}, autofill=autofill
    )
    assert payee in text
    assert "Cafó" in text


@pytest.mark.parametrize("locale", sorted(TEMPLATES))
def test_who_did_not_ask_is_told_what_to_reply_where_there_is_room(locale: str) -> None:
    """A word that the app hears, in no further part, before the last line. A name that hears nothing asks nothing."""
    no = frozenset({"no"})
    for autofill, context, lifetime_s in CASES:
        words = {"code": CODE, "brand": "Acme", "lifetime_s": lifetime_s, "locale": locale, "context": context}
        without, asking, deaf = (
            render(**words, autofill=autofill, denials=denials, replies=two_way)  # type: ignore[arg-type]
            for denials, two_way in (((), True), (heard(no), True), (heard(no), False))
        )
        assert segments(asking) == segments(without)
        room = len(without) + len(TEMPLATES[locale].deny) < 160
        assert (TEMPLATES[locale].deny in asking) is room or autofill is ANDROID
        assert asking.replace(f"{TEMPLATES[locale].deny} ", "") == without
        assert asking.split("\n")[1:] == without.split("\n")[1:]
        assert TEMPLATES[locale].deny not in deaf
        assert autofill is not ANDROID or len(asking.encode()) <= message_text.ANDROID_MAX_BYTES
    asked = TEMPLATES[locale].deny.rstrip(".").split()[-1]
    assert read(asked).denies(no)
    assert replies.plain(asked) == TEMPLATES[locale].no
    assert TEMPLATES[locale].no in heard(no)
    assert TEMPLATES[locale].no not in heard(frozenset({"not me"}))


def test_a_denial_never_costs_a_part() -> None:
    """Whatever the brand is: the text with it has the parts of the text without it."""
    shown = set()
    for length in range(1, 41):
        for brand in ("a" * length, "é" * length, "Ł" * length):
            words = {"code": CODE, "brand": brand, "lifetime_s": 300, "locale": "it", "context": PAYMENT}
            short, long = (
                render(**words, autofill=None, denials=denials)  # type: ignore[arg-type]
                for denials in ((), heard({"no"}))
            )
            assert segments(long) == segments(short)
            shown.add(TEMPLATES["it"].deny in long)
    assert shown == {True, False}
