"""How many parts the usual texts of an app take, and whether its brand makes them more."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import message_text
from .message_templates import TEMPLATES
from .policy import App, Channel
from .prices import Prices
from .sms_segments import Encoding, Segments, outside_gsm7, segments


@dataclass(frozen=True, slots=True)
class TextSizes:
    """The size of a login's text by language: the longest that a sender of the route sends."""

    by_language: Mapping[str, Segments]
    odd: str
    """Characters of the brand that are not in GSM-7: they turn every text into UCS-2."""

    @property
    def told(self) -> str:
        """One line for people: parts by language, and what makes them more."""
        listed = ", ".join(f"{language} {size.parts}" for language, size in self.by_language.items())
        parts = f"parts of an SMS by language: {listed}"
        if not self.odd:
            return parts
        named = " ".join(f"{char} (U+{ord(char):04X})" for char in self.odd)
        return f"{parts}; the brand leaves GSM-7 by {named}, so that all texts are {Encoding.UCS2}"


def told_prices(app: App, sizes: TextSizes, prices: Prices) -> str:
    """What a text costs in each country that has a price and that the app sends to; empty if there is none."""
    found = []
    for country, price in prices.segments.items():
        if app.may_send_to(country):
            costs = {language: f"{price * size.parts:.4f}" for language, size in sizes.by_language.items()}
            alike = len(set(costs.values())) == 1
            listed = next(iter(costs.values())) if alike else ", ".join(f"{one} {cost}" for one, cost in costs.items())
            found.append(f"{country} {listed}")
    return f"a text costs in {prices.currency}: {'; '.join(found)}" if found else ""


def text_sizes(app: App) -> TextSizes | None:
    """The sizes; None for an app that sends no SMS."""
    if not any(sender.channel is Channel.SMS for sender in app.route):
        return None
    sizes = {language: max(_sizes(app, language), key=lambda size: size.parts) for language in TEMPLATES}
    return TextSizes(sizes, outside_gsm7(app.brand))


def _sizes(app: App, language: str) -> Iterator[Segments]:
    for two_way in {sender.two_way for sender in app.route if sender.channel is Channel.SMS}:
        text = message_text.render(
            code="0" * app.code_length,
            brand=app.brand,
            lifetime_s=(app.code_ttl_ms + message_text.ROUNDING_MS) // 1000,
            locale=language,
            context=None,
            autofill=None,
            replies=two_way,
            denials=message_text.heard(app.denial_words),
        )
        yield segments(text)
