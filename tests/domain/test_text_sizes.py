"""How many parts an app's texts take, as `doctor` and the log tell it."""

import logging
from dataclasses import replace
from types import MappingProxyType

import pytest

from otp_service.bootstrap.texts import tell_text_sizes
from otp_service.diagnosis.texts import check_texts
from otp_service.domain.message_templates import TEMPLATES
from otp_service.domain.policy import App, Policy, Sender, SenderKind, Template
from otp_service.domain.prices import Prices
from otp_service.domain.text_sizes import text_sizes, told_prices

POOL = Sender("pool", SenderKind.NUMBER_POOL, "p", None, 1.0)
NAME = Sender("name", SenderKind.ALPHANUMERIC, "p", "ACME", 1.0)
CHAT = Sender("chat", SenderKind.WHATSAPP, "p", "+18445550001", 1.0, Template("t"))


def test_the_usual_text_is_one_part_in_each_language() -> None:
    """With the longest brand in GSM-7, for senders that hear replies and for names."""
    for brand in ("Acme", "a" * 40):
        sizes = text_sizes(App("shop", brand, (POOL, NAME), code_length=10, code_ttl_ms=600_000))
        assert sizes is not None
        assert {language: size.parts for language, size in sizes.by_language.items()} == dict.fromkeys(TEMPLATES, 1)
        assert sizes.told == "parts of an SMS by language: en 1, de 1, fr 1, es 1, it 1"


def test_a_brand_outside_gsm_7_is_named_with_what_it_costs() -> None:
    """Each character once, with its code point; extension characters of GSM-7 are none."""
    sizes = text_sizes(App("shop", "Łódź{€}ź", (POOL,)))
    assert sizes is not None
    assert sizes.told == (
        "parts of an SMS by language: en 2, de 2, fr 2, es 2, it 2; the brand leaves GSM-7 by Ł (U+0141) ó (U+00F3) "
        "ź (U+017A), so that all texts are UCS-2"
    )
    assert text_sizes(App("chat", "Łódź", (CHAT,))) is None


def test_the_log_tells_it_at_the_start_and_doctor_at_any_time(caplog: pytest.LogCaptureFixture) -> None:
    """A warning for the app whose brand it is, and a line for each app."""
    plain = App("plain", "Acme", (POOL,))
    apps = {"plain": plain, "odd": replace(plain, name="odd", brand="Łódź"), "chat": App("chat", "Łódź", (CHAT,))}
    policy = Policy(MappingProxyType(apps))
    with caplog.at_level(logging.WARNING, "otp.bootstrap"):
        tell_text_sizes(policy)
    assert [record.__dict__["app"] for record in caplog.records] == ["odd"]
    assert "U+0141" in caplog.records[0].__dict__["reason"]
    lines = {found.name: found for found in check_texts(policy, Prices())}
    assert set(lines) == {"texts of plain", "texts of odd"}
    assert all(found.ok for found in lines.values())


def test_what_a_text_costs_is_told_by_country_and_language() -> None:
    """The parts at the operator's price, where the app sends; one figure where all languages cost the same."""
    prices = Prices("EUR", {"US": 0.0079, "CA": 0.01, "DE": 0.08})
    plain, long = App("shop", "Acme", (POOL,)), App("shop", "Łó" * 18, (POOL,))
    sizes, longer = text_sizes(plain), text_sizes(long)
    assert sizes is not None
    assert longer is not None
    assert told_prices(plain, sizes, prices) == "a text costs in EUR: US 0.0079; CA 0.0100"
    assert told_prices(plain, sizes, Prices()) == ""
    assert told_prices(long, longer, Prices("USD", {"US": 0.01})) == (
        "a text costs in USD: US en 0.0200, de 0.0200, fr 0.0200, es 0.0200, it 0.0300"
    )
    (line,) = check_texts(Policy(MappingProxyType({"shop": plain})), prices)
    assert line.detail.endswith("; a text costs in EUR: US 0.0079; CA 0.0100")
