"""Phone numbers: strict E.164 in, one canonical form, a mask for everything people read.

The library `phonenumbers` accepts vanity words, extensions, foreign digits and spaces that all lead to one number;
budgets are kept per number, so only the plain ASCII form is let through to it (ITU-T E.164: at most 15 digits).
"""

import re
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberFormat, ValidationResult

from .errors import InvalidNumber

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_NANP = re.compile(r"\+1([2-9][0-9]{2})[0-9]{7}", re.ASCII)
REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""The ISO 3166 codes of the countries that have a numbering plan."""

_HINT = "Send the number in E.164: a plus sign, the country code and the number, digits only."


@dataclass(frozen=True, slots=True)
class Phone:
    """One telephone number. `e164` is canonical, `region` its ISO 3166 country or None where it has none.

    Its repr shows the mask only, so that it may stand in a log by accident.
    """

    e164: str
    region: str | None
    country_code: int

    def __repr__(self) -> str:
        return f"Phone({self.mask})"

    @property
    def mask(self) -> str:
        """Country code and last four digits, stars between: `+1******0143`."""
        return mask(self.e164, self.country_code)


def mask(e164: str, country_code: int) -> str:
    """Hide the middle of a number. Fewer than eight national digits show only their last two."""
    head = f"+{country_code}"
    national = e164[len(head) :]
    shown = 4 if len(national) >= 8 else 2
    return head + "*" * (len(national) - shown) + national[-shown:]


def parse(text: str) -> Phone:
    """Read strict E.164 and return the canonical number.

    Raises InvalidNumber for anything else, and for numbers that no numbering plan holds. In the North American
    plan an area code unknown to the library is let through if it has the plan's shape, and counts as US: new area
    codes are opened faster than libraries are released, and the carrier refuses one that does not exist.
    """
    if not _E164.fullmatch(text):
        raise InvalidNumber(_HINT)
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException as error:
        raise InvalidNumber(_HINT) from error
    country_code = number.country_code or 0
    if phonenumbers.is_valid_number(number):
        region = phonenumbers.region_code_for_number(number)
    elif _unknown_area_code(text):
        region = "US"
    else:
        raise InvalidNumber(f"No numbering plan holds this number. {_HINT}")
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        raise InvalidNumber(_HINT)
    canonical = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return Phone(canonical, region if region != "001" else None, country_code)


def _unknown_area_code(text: str) -> bool:
    match = _NANP.fullmatch(text)
    if match is None:
        return False
    anybody = phonenumbers.parse(f"+1{match[1]}2345678", None)
    return not phonenumbers.is_valid_number(anybody)
