"""Phone numbers: strict E.164 in, one canonical form, a mask for everything people read.

The library `phonenumbers` accepts vanity words, extensions, foreign digits and spaces that all lead to one number;
budgets are kept per number, so only the plain ASCII form is let through to it (ITU-T E.164: at most 15 digits).
"""

import re

import msgspec
import phonenumbers
from phonenumbers import PhoneNumberFormat, ValidationResult

from .errors import InvalidNumber
from .numbering import (
    AREA_CODES,
    DIRECTORY,
    EXCHANGES,
    FICTITIOUS,
    GLOBAL_CODES,
    LIBRARY_KINDS,
    NO_COUNTRY,
    NORTH_AMERICA,
    OPEN_REGIONS,
    SAMPLE_NUMBER,
    SATELLITES,
    SERVICE_CODES,
    TEST_EXCHANGES,
    Kind,
    owner,
)

E164 = r"\+[1-9][0-9]{6,14}"
"""The form of every number in E.164, as a regular expression: ASCII digits, at most 15 of them."""

_E164 = re.compile(E164, re.ASCII)
_NANP = re.compile(r"\+1([2-9][0-9]{2})(?![2-9]11)([2-9][0-9]{2})[0-9]{4}", re.ASCII)
_MEXICO_OLD = re.compile(r"\+521[0-9]{10}", re.ASCII)
REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""The ISO 3166 codes of the countries that have a numbering plan."""

_HINT = "Send the number in E.164: a plus sign, the country code and the number, digits only."
_NOBODYS = f"No numbering plan holds this number. {_HINT}"


class Phone(msgspec.Struct, frozen=True):
    """One telephone number. `e164` is canonical, `region` its ISO 3166 country or None where it has none.

    `kind` is what the number is for. Its repr shows the mask only, so that it may stand in a log by accident.
    """

    e164: str
    region: str | None
    country_code: int
    kind: Kind = Kind.FIXED_LINE_OR_MOBILE

    def __repr__(self) -> str:
        return f"Phone({self.mask})"

    @property
    def mask(self) -> str:
        """Country code and last four digits, stars between: `+1******0143`."""
        return mask(self.e164, self.country_code)


def is_e164(text: str) -> bool:
    """Whether the text has the form of E.164. Whether there is such a number is `parse`'s question."""
    return _E164.fullmatch(text) is not None


def mask(e164: str, country_code: int) -> str:
    """Hide the middle of a number. Fewer than eight national digits show only their last two."""
    head = f"+{country_code}"
    national = e164[len(head) :]
    shown = 4 if len(national) >= 8 else 2
    return head + "*" * (len(national) - shown) + national[-shown:]


def parse(text: str) -> Phone:
    """Read strict E.164 and return the canonical number, for whatever is looked up or received from.

    Raises InvalidNumber for anything else, for numbers that no numbering plan holds, and for the fictitious ones of
    other plans than the North American. Who is to receive a code is read by `parse_receiver`, which refuses more.
    """
    if not is_e164(text):
        raise InvalidNumber(_HINT)
    return _north_american(text) if text[1] == "1" else _elsewhere(text)


def parse_receiver(text: str, *, fictitious: bool) -> Phone:
    """Read the number of somebody who receives codes. `fictitious` lets 555-0100 to 555-0199 through.

    Raises InvalidNumber as `parse` does, and for the networks' test lines.
    """
    to = parse(text)
    if to.country_code == NORTH_AMERICA and to.region in OPEN_REGIONS and to.e164[5:8] in TEST_EXCHANGES:
        raise InvalidNumber(_NOBODYS)
    if not fictitious and SAMPLE_NUMBER.fullmatch(to.e164):
        raise InvalidNumber("555-0100 to 555-0199 are fictitious numbers: no carrier delivers to them.")
    return to


def _north_american(text: str) -> Phone:
    # Neither an area code nor an exchange begins with 0 or 1 or is N11; the table of area codes holds no N11.
    match = _NANP.fullmatch(text)
    if match is None:
        raise InvalidNumber(_NOBODYS)
    area, exchange = match.groups()
    region = AREA_CODES.get(area)
    if region is None:
        if (kind := SERVICE_CODES.get(area)) is None:
            raise InvalidNumber(_NOBODYS)
        return Phone(text, None, 1, kind)
    if region in OPEN_REGIONS:
        special = Kind.PREMIUM_RATE if text.endswith(DIRECTORY) else EXCHANGES.get(exchange)
        return Phone(text, region, 1, special or Kind.FIXED_LINE_OR_MOBILE)
    if SAMPLE_NUMBER.fullmatch(text):
        return Phone(text, region, 1)
    # An exchange that the library does not know is no reason to call the number another country's, or nobody's.
    return Phone(text, region, 1, LIBRARY_KINDS.get(phonenumbers.number_type(_read(text)), Kind.UNKNOWN))


def _elsewhere(text: str) -> Phone:
    if _MEXICO_OLD.fullmatch(text):
        text = f"+52{text[4:]}"  # the 1 is no part of the number since August 2019, but people still write it
    number = _read(text)
    kind = LIBRARY_KINDS.get(phonenumbers.number_type(number))
    if kind is None:
        raise InvalidNumber(_NOBODYS)
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        raise InvalidNumber(_HINT)
    canonical = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if FICTITIOUS.fullmatch(canonical):
        raise InvalidNumber(_NOBODYS)
    country_code, region = number.country_code or 0, phonenumbers.region_code_for_number(number)
    if region == NO_COUNTRY:
        return Phone(canonical, None, country_code, GLOBAL_CODES.get(country_code, Kind.UNKNOWN))
    if SATELLITES.match(canonical):
        kind = Kind.SATELLITE
    return Phone(canonical, owner(canonical, region), country_code, kind)


def _read(text: str) -> phonenumbers.PhoneNumber:
    try:
        return phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException as error:
        raise InvalidNumber(_HINT) from error
