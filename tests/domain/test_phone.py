"""Phone numbers: one spelling in, one canonical form out, and nothing but a mask for people."""

import re
import string

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.errors import InvalidNumber
from otp_service.domain.phone import Phone, mask, parse

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)

VALID = [
    ("+12025550143", "US", 1, "+1******0143"),
    ("+14165550123", "CA", 1, "+1******0123"),
    ("+17872345678", "PR", 1, "+1******5678"),
    ("+18765550143", "JM", 1, "+1******0143"),
    ("+447400123456", "GB", 44, "+44******3456"),
    ("+447911123456", "GG", 44, "+44******3456"),
    ("+4915123456789", "DE", 49, "+49*******6789"),
    ("+33612345678", "FR", 33, "+33*****5678"),
    ("+34612345678", "ES", 34, "+34*****5678"),
    ("+393123456789", "IT", 39, "+39******6789"),
    ("+390612345678", "IT", 39, "+39******5678"),
    ("+5511961234567", "BR", 55, "+55*******4567"),
    ("+5491123456789", "AR", 54, "+54*******6789"),
    ("+819012345678", "JP", 81, "+81******5678"),
    ("+919812345678", "IN", 91, "+91******5678"),
    ("+8613123456789", "CN", 86, "+86*******6789"),
    ("+61412345678", "AU", 61, "+61*****5678"),
    ("+77012345678", "KZ", 7, "+7******5678"),
    ("+79123456789", "RU", 7, "+7******6789"),
    ("+6591234567", "SG", 65, "+65****4567"),
    ("+2348021234567", "NG", 234, "+234******4567"),
    ("+6835123", "NU", 683, "+683**23"),
]


def known_numbers() -> st.SearchStrategy[str]:
    """Numbers of every country, near the library's examples: valid and invalid ones."""

    def example(region: str) -> str:
        number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if number else "+12025550143"

    def vary(base: str) -> st.SearchStrategy[str]:
        tail = st.text(string.digits, min_size=0, max_size=4)
        return tail.map(lambda digits: base[: len(base) - len(digits)] + digits)

    return st.sampled_from(REGIONS).map(example).flatmap(vary)


@given(st.one_of(known_numbers(), st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)))
def test_a_canonical_number_is_its_own_canonical_form(text: str) -> None:
    """Two spellings of one number never give two budgets: what was parsed once parses to itself."""
    try:
        phone = parse(text)
    except InvalidNumber:
        return
    assert parse(phone.e164) == phone
    assert re.fullmatch(r"\+[1-9][0-9]{6,14}", phone.e164, re.ASCII)
    assert phone.e164.startswith(f"+{phone.country_code}")


@given(st.one_of(st.text(max_size=40), st.text("+0123456789 -.()\n\0", max_size=20)))
def test_whatever_the_text_there_is_a_number_or_the_one_refusal(text: str) -> None:
    """No text raises anything but InvalidNumber, and none but strict E.164 is taken."""
    try:
        parse(text)
    except InvalidNumber:
        return
    assert re.fullmatch(r"\+[1-9][0-9]{6,14}", text, re.ASCII)


@pytest.mark.parametrize(("text", "region", "country_code", "masked"), VALID)
def test_numbers_of_all_countries_are_taken(text: str, region: str, country_code: int, masked: str) -> None:
    """A mobile number in strict E.164 keeps its digits, names its country, and is masked but for the last four."""
    phone = parse(text)
    assert (phone.e164, phone.region, phone.country_code, phone.mask) == (text, region, country_code, masked)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("+", id="plus alone"),
        pytest.param("+1 202 555 0143", id="spaces"),
        pytest.param(" +12025550143", id="space before"),
        pytest.param("+12025550143 ", id="space after"),
        pytest.param("+12025550143\n", id="newline after"),
        pytest.param("\n+12025550143", id="newline before"),
        pytest.param("+12025550143\0", id="NUL"),
        pytest.param("+1-202-555-0143", id="hyphens"),
        pytest.param("+1(202)5550143", id="brackets"),
        pytest.param("tel:+12025550143", id="tel:"),
        pytest.param("12025550143", id="no plus"),
        pytest.param("2025550143", id="national"),
        pytest.param("0012025550143", id="00"),
        pytest.param("01112025550143", id="011"),
        pytest.param("+0012025550143", id="+00"),
        pytest.param("++12025550143", id="two plusses"),
        pytest.param("\uff0b12025550143", id="full-width plus"),
        pytest.param("+\uff11\uff12\uff10\uff12\uff15\uff15\uff15\uff10\uff11\uff14\uff13", id="full-width digits"),
        pytest.param("+1202555014\u0663", id="an Arabic digit"),
        pytest.param("+\u0661\u0662\u0660\u0662\u0665\u0665\u0665\u0660\u0661\u0664\u0663", id="Arabic digits"),
        pytest.param("+1202555014\u00b3", id="superscript"),
        pytest.param("+12025550143\u200e", id="direction mark"),
        pytest.param("+12025550143;ext=5", id="ext="),
        pytest.param("+12025550143x5", id="x5"),
        pytest.param("+12025550143,5", id="pause"),
        pytest.param("+1800FLOWERS", id="vanity"),
        pytest.param("+1202555", id="7 digits"),
        pytest.param("+120255", id="6 digits"),
        pytest.param("+1202555014312345", id="16 digits"),
        pytest.param("+4915123456789012", id="16 digits, Germany"),
        pytest.param("+99912345678", id="+999"),
        pytest.param("+2101234567", id="a country code nobody has"),
        pytest.param("12345", id="short code"),
        pytest.param("+12345", id="short code with a plus"),
        pytest.param("911", id="911"),
        pytest.param("+1911", id="+1911"),
        pytest.param("+12025550", id="too short for its country"),
        pytest.param("+120255501433", id="too long for its country"),
        pytest.param("+4479", id="a stub"),
    ],
)
def test_every_other_spelling_is_refused(text: str) -> None:
    """Only plain ASCII E.164 is a number, so no second spelling can bring a second budget."""
    with pytest.raises(InvalidNumber) as refused:
        parse(text)
    assert "E.164" in refused.value.detail
    if len(text) > 3:
        assert text not in refused.value.detail


@pytest.mark.parametrize("text", ["+12020550143", "+12021550143", "+14160550123", "+12647110143", "+13129111234"])
def test_an_exchange_that_cannot_exist_is_refused(text: str) -> None:
    """No exchange begins with 0 or 1 or ends in 11: such a number is nobody's."""
    with pytest.raises(InvalidNumber, match="No numbering plan"):
        parse(text)


@pytest.mark.parametrize("text", ["+10025550143", "+11235550143", "+11025550143"])
def test_what_is_no_area_code_is_no_new_one(text: str) -> None:
    """An area code never begins with 0 or 1: such a number is not let through as a new one."""
    with pytest.raises(InvalidNumber):
        parse(text)


@pytest.mark.parametrize("text", ["+881612345678", "+882161234567", "+883510012345", "+979123456789", "+80012345678"])
def test_numbers_without_a_country_have_no_region(text: str) -> None:
    """Satellite, premium and shared-cost numbers are numbers, but of no country: routing blocks them by that."""
    assert parse(text).region is None


@given(st.integers(1, 999), st.text(string.digits, min_size=4, max_size=12))
def test_a_mask_keeps_the_length_and_hides_the_middle(country_code: int, national: str) -> None:
    """Country code, stars, last four digits; the last two only where fewer than eight digits are national."""
    masked = mask(f"+{country_code}{national}", country_code)
    shown = 4 if len(national) >= 8 else 2
    assert masked == f"+{country_code}{'*' * (len(national) - shown)}{national[-shown:]}"
    assert masked.count("*") >= 2


def test_a_phone_in_a_log_is_a_mask() -> None:
    """The repr of a number, alone or inside something else, shows the mask only."""
    phone = parse("+12025550143")
    assert repr(phone) == "Phone(+1******0143)"
    assert "2025550143" not in f"{[phone]} {phone}"
    assert phone == Phone("+12025550143", "US", 1)
