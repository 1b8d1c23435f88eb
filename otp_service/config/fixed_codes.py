"""`[[apps.NAME.test_numbers]]`: numbers with a fixed code, for the review of an app. Nothing is sent to them.

A fictitious number (555-0100 to 555-0199) belongs to nobody. Any other may be somebody's, who could then never log in
by a code of their own: it is refused unless the entry says `real = true`.
"""

from collections.abc import Mapping, Sequence

from ..domain.codes import is_typed
from ..domain.errors import InvalidNumber
from ..domain.numbering import SAMPLE_NUMBER
from ..domain.phone import parse
from .faults import Faults
from .sections import TestNumberEntry

_REAL = "may be somebody's number; take one of 555-0100 to 555-0199, or write real = true beside it if it is yours"


def read_test_numbers(
    app: str, entries: Sequence[TestNumberEntry], code_length: int, faults: Faults
) -> Mapping[str, str]:
    """The code of each number; of no use if there are faults."""
    found: dict[str, str] = {}
    for index, entry in enumerate(entries):
        key = f"apps.{app}.test_numbers[{index}]"
        if not is_typed(entry.code) or len(entry.code) != code_length:
            faults.add(f"{key}.code", f"must have as many digits as the app's codes: {code_length}")
        number = _number(entry, f"{key}.number", faults)
        if number is not None and number in found:
            faults.add(f"{key}.number", "is in the list twice; write it once")
        if number is not None:
            found[number] = entry.code
    return found


def _number(entry: TestNumberEntry, key: str, faults: Faults) -> str | None:
    try:
        phone = parse(entry.number)
    except InvalidNumber as error:
        faults.add(key, error.detail)
        return None
    if not entry.real and not SAMPLE_NUMBER.fullmatch(phone.e164):
        faults.add(key, f"{phone.mask} {_REAL}")
    return phone.e164
