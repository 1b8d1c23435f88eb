"""Whose a number is, what it is for, and which spellings are one handset: held against the library's whole metadata."""

from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from otp_service.domain import phone, routing
from otp_service.domain.errors import InvalidNumber
from otp_service.domain.ids import Ids
from otp_service.domain.numbering import (
    AREA_CODES,
    GLOBAL_CODES,
    LIBRARY_KINDS,
    REFUSED_KINDS,
    SATELLITES,
    SERVICE_CODES,
    USUAL_KINDS,
    Kind,
    identity,
)
from otp_service.domain.policy import App, Sender, SenderKind

IDS = Ids(bytes(range(32)))
POOL = Sender("pool", SenderKind.NUMBER_POOL, "profile-a", None, 1.0)
TYPES = sorted(PhoneNumberType.values())
MAY_RECEIVE = {
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.VOIP,
}


def decide(number: str, *countries: str, fictitious: bool = True, kinds: frozenset[Kind] = USUAL_KINDS) -> str:
    """What a start with this list of countries and of kinds answers: `sent` or the code of the refusal."""
    try:
        to = phone.parse_receiver(number, fictitious=fictitious)
    except InvalidNumber:
        return "invalid_number"
    app = App("a", "A", (POOL,), countries=frozenset(countries), number_types=kinds)
    return routing.refused_destination(app, to) or "sent"


# ---- the library's metadata -----------------------------------------------------------------------------------------


def examples() -> Iterator[tuple[str, int, str, int]]:
    """An example number for each region and type: region (001 for no country), type, E.164, country code."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in TYPES:
            number = phonenumbers.example_number_for_type(region, kind)
            if number is not None:
                # Some countries share their mobile numbers; the library then names the main one (Åland: Finland).
                owner = phonenumbers.region_code_for_number(number) or region
                yield owner, kind, phonenumbers.format_number(number, PhoneNumberFormat.E164), number.country_code or 0
    for code in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS):
        number = phonenumbers.example_number_for_non_geo_entity(code)
        assert number is not None
        text = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        yield "001", phonenumbers.number_type(number), text, code


EXAMPLES = list(examples())


def expected(region: str, kind: int, text: str, code: int) -> tuple[str, str]:
    """What the policy says of a valid example, for its own country alone and for all countries."""
    if len(text) < len("+1234567") or (code == 1 and len(text) != len("+12025550143")):
        return "invalid_number", "invalid_number"  # Canada's 310-XXXX and Iran's 9601 exist inside the country only
    if region == "001" or kind not in MAY_RECEIVE or text.startswith("+1600") or SATELLITES.match(text):
        return "destination_blocked", "destination_blocked"
    return "sent", "sent"


def test_there_is_an_example_of_every_country_code() -> None:
    """All regions and all number types of the library stand in the next test."""
    # Saint Martin and Western Sahara have no number that the library distinguishes from Guadeloupe's and Morocco's.
    assert {region for region, *_ in EXAMPLES} == (phonenumbers.SUPPORTED_REGIONS | {"001"}) - {"EH", "MF"}
    assert {kind for _, kind, *_ in EXAMPLES} == {
        *(MAY_RECEIVE | {kind for kind, ours in LIBRARY_KINDS.items() if ours in REFUSED_KINDS})
    }
    assert len(EXAMPLES) > 900


def test_each_region_and_type_is_sent_to_exactly_if_the_policy_says_so() -> None:
    """Own country, all countries, and another country's list, which lets nothing through."""
    for region, kind, text, code in EXAMPLES:
        own, everywhere = expected(region, kind, text, code)
        assert decide(text, region) == own, (region, kind, text)
        assert decide(text, "*") == everywhere, (region, kind, text)
        other = decide(text, "FR" if region != "FR" else "DE")
        assert other == ("country_not_allowed" if own == "sent" else other), (region, kind, text)
        assert other != "sent", (region, kind, text)


def test_each_example_keeps_its_country() -> None:
    """Where the library knows the country, it is ours too; what North America shares belongs to none."""
    for region, kind, text, code in EXAMPLES:
        if decide(text, "*") == "invalid_number":
            continue
        shared = region == "001" or (code == 1 and text[2:5] in SERVICE_CODES)
        assert phone.parse(text).region == (None if shared else region), (region, kind, text)


def test_no_kind_is_forgotten() -> None:
    """Every type of the library has a kind, unknown ones are refused, and so are all kinds but four."""
    assert set(LIBRARY_KINDS) == set(TYPES) - {PhoneNumberType.UNKNOWN}
    assert {LIBRARY_KINDS[kind] for kind in MAY_RECEIVE} == set(Kind) - REFUSED_KINDS
    assert Kind.UNKNOWN in REFUSED_KINDS
    assert set(GLOBAL_CODES) == set(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS)
    assert set(GLOBAL_CODES.values()) <= REFUSED_KINDS


# ---- North America --------------------------------------------------------------------------------------------------


def library_regions(area: int) -> set[str]:
    """Whom the library knows as owner of the area code, over all exchanges."""
    found: set[str] = set()
    for exchange in (*range(200, 1000, 7), 235, 497, 555, 729, 736):
        number = phonenumbers.PhoneNumber(country_code=1, national_number=int(f"{area}{exchange}2345"))
        if region := phonenumbers.region_code_for_number(number):
            found.add(region)
    return found


@pytest.mark.parametrize("area", range(200, 1000))
def test_each_area_code_is_of_a_country_a_service_or_unused(area: int) -> None:
    """All 800 of them: the right country whatever the library says of the number, blocked as a service, or refused."""
    code, number = str(area), f"+1{area}2342345"
    if region := AREA_CODES.get(code):
        assert code not in SERVICE_CODES
        assert phone.parse(number).region == region
        assert decide(number, "FR") == "country_not_allowed"
        assert decide(f"+1{area}5550123", region) == "sent"
        assert library_regions(area) <= {region}
    elif code in SERVICE_CODES:
        assert phone.parse(number).region is None
        assert {decide(number, "US", "CA"), decide(number, "*"), decide(number, "FR")} == {"destination_blocked"}
    else:
        assert {decide(number, "US", "CA"), decide(number, "*")} == {"invalid_number"}
        assert library_regions(area) == set()


def test_the_table_knows_countries_that_can_be_listed() -> None:
    """25 countries and territories, each by the name that `countries` takes; no area code is of the form N11 or N9X."""
    assert set(AREA_CODES.values()) <= phone.REGIONS
    assert len(set(AREA_CODES.values())) == 25
    assert not [code for code in (*AREA_CODES, *SERVICE_CODES) if code[1:] == "11" or code[1] == "9"]


@given(st.integers(0, 8 * 10**9 - 1).map(lambda tail: f"+1{tail + 2 * 10**9}"))
def test_no_number_is_american_unless_its_area_code_is(text: str) -> None:
    """Whatever the exchange: the country of a number is its area code's, never a guess."""
    try:
        found = phone.parse(text)
    except InvalidNumber:
        return
    assert found.region == AREA_CODES.get(text[2:5])
    assert found.e164 == text


ISLANDS = [
    *("+12422345678", "+12462345678", "+12647369616", "+12685551234", "+12842345678", "+13402345678", "+13452345678"),
    *("+14412345678", "+14732345678", "+16492345678", "+16582345678", "+16642345678", "+16702345678", "+16712345678"),
    *("+16842345678", "+17212345678", "+17582345678", "+17672345678", "+17842345678", "+17872345678", "+18092345678"),
    *("+18292345678", "+18492345678", "+18682345678", "+18692345678", "+18762345678", "+19392345678"),
]


@pytest.mark.parametrize("number", ISLANDS)
def test_islands_are_not_the_united_states(number: str) -> None:
    """Known to the library or not, an island's number does not pass a list of US and CA."""
    assert decide(number, "US", "CA") == "country_not_allowed"


@pytest.mark.parametrize("number", ["+14362345678", "+16792345678", "+13573412345", "+19422345678", "+14722345678"])
def test_a_new_area_code_needs_no_new_library(number: str) -> None:
    """Assigned codes pass as their own country's, whether or not the library knows them."""
    assert decide(number, AREA_CODES[number[2:5]]) == "sent"


def test_an_exchange_that_the_library_does_not_list_is_unknown() -> None:
    """An island's plan is listed exchange by exchange: numbers outside of it are what pumpers use."""
    assert phone.parse("+12647369616").kind is Kind.UNKNOWN
    assert decide("+12647369616", "AI") == "destination_blocked"
    assert decide("+12642351234", "AI") == "sent"


@pytest.mark.parametrize(
    "number",
    [
        *("+15551234567", "+19112345678", "+19999999999", "+19990123456", "+12112345678", "+14112345678"),
        *(
            "+12029111234",
            "+12024111234",
            "+18002114567",
            "+15555550123",
            "+12222345678",
            "+18812345678",
            "+18222345678",
        ),
        *("+13704567890", "+19762345678", "+12001234567", "+12029581234", "+14169591234"),
    ],
)
def test_what_is_assigned_to_nobody_is_no_number(number: str) -> None:
    """Unassigned area codes, N11 as area code and as exchange, test lines; also where fictitious numbers are taken."""
    assert decide(number, "*") == "invalid_number"


@pytest.mark.parametrize(
    "number",
    [
        *(
            "+19002345678",
            "+13129762345",
            "+14169762345",
            "+15002345678",
            "+15212345678",
            "+15882345678",
        ),
        *("+15382345678", "+17002345678", "+17102345678", "+16002345678", "+16222345678", "+16332345678"),
        *("+18002345678", "+18332345678", "+18442345678", "+18552345678", "+18662345678", "+18772345678"),
        *("+18882345678", "+449012345678", "+447640123456", "+447012345678", "+448431234567", "+445512345678"),
        *("+33810123456", "+611900123456", "+4970012345678", "+4916412345"),
        *("+870773111632", "+881612345678", "+882161234567", "+883510012345", "+878101234567890", "+979123456789"),
        *("+80012345678", "+80812345678", "+12025551212", "+14165551212", "+18005551212"),
        *("+12029501234", "+14169501234"),
    ],
)
def test_no_code_goes_to_such_kinds_of_numbers(number: str) -> None:
    """Premium, personal, government, carriers' own, toll-free, shared cost, pagers, satellites: with every country."""
    assert decide(number, "*") == "destination_blocked"


@pytest.mark.parametrize("exchange", ["950", "958", "959", "976"])
def test_exchanges_of_two_countries_belong_to_people_elsewhere(exchange: str) -> None:
    """Outside of the US and Canada the library lists the exchanges: mobile numbers of the Dominican Republic."""
    assert decide(f"+1809{exchange}2262", "DO") == "sent"
    assert decide(f"+1264{exchange}2262", "AI") == "destination_blocked"
    assert decide("+18095551212", "DO") == "sent"
    assert decide(f"+1800{exchange}2262", "*") == "destination_blocked"
    assert decide(f"+1800{exchange}2262", "*", kinds=frozenset({Kind.TOLL_FREE})) == "sent"


@pytest.mark.parametrize("number", ["+12029581234", "+14169591234", "+18099592262"])
def test_who_gets_no_code_is_still_heard_and_forgotten(number: str) -> None:
    """A number that was kept can be read for its STOP, for `explain`, for `lift` and for `audit erase`."""
    assert phone.parse(number).e164 == number


# ---- fictitious numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("area", sorted(AREA_CODES))
def test_the_sandboxes_numbers_are_refused_elsewhere(area: str) -> None:
    """555-0100 to 555-0199 of every area code: taken where the carrier is on loopback only, and nothing beside them."""
    region = AREA_CODES[area]
    for line in ("0100", "0142", "0199"):
        assert decide(f"+1{area}555{line}", region) == "sent"
        assert decide(f"+1{area}555{line}", region, fictitious=False) == "invalid_number"
    for line in ("0099", "0200"):
        assert decide(f"+1{area}555{line}", region, fictitious=False) == decide(f"+1{area}555{line}", region)
        assert decide(f"+1{area}555{line}", region) != "invalid_number"


@pytest.mark.parametrize(
    "number",
    [
        *("+447700900000", "+447700900123", "+447700900999", "+442079460123", "+441134960999", "+441632960000"),
        *("+442896496123", "+442920180123", "+448081570123", "+449098790123", "+443069990123", "+441914980123"),
        *("+61491570006", "+61491570156", "+61491579455", "+61255501234", "+61870101234", "+33639980001"),
        *(
            "+33199001234",
            "+493023125999",
            "+491713920055",
            "+353209112345",
            "+353890110123",
            "+46846500412",
            "+61491570123",
            "+46701740605",
        ),
    ],
)
@pytest.mark.parametrize("fictitious", [True, False])
def test_fictional_numbers_are_refused(number: str, *, fictitious: bool) -> None:
    """What a regulator keeps for fiction is refused, also beside a sandbox: only 555-01XX is its."""
    assert decide(number, "*", fictitious=fictitious) == "invalid_number"


@pytest.mark.parametrize(
    "number",
    [
        "+447700123456",
        "+442079461000",
        "+61491569999",
        "+61491580000",
        "+353890111123",
        "+46701740604",
        "+46701740700",
        "+33612345678",
    ],
)
def test_the_numbers_beside_them_are_somebodys(number: str) -> None:
    """The ranges end where their regulators say."""
    assert decide(number, "*") == "sent"


# ---- one handset ----------------------------------------------------------------------------------------------------

SAME = [
    ("+5491123456789", "+541123456789"),
    ("+5493514123456", "+543514123456"),
    ("+5492234123456", "+542234123456"),
    ("+525512345678", "+5215512345678"),
    ("+528112345678", "+5218112345678"),
    ("+390549886377", "+3780549886377"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_handset_are_one_person(one: str, other: str) -> None:
    """One hash, whether the text was parsed or comes raw from the carrier."""
    assert IDS.number_hash(one) == IDS.number_hash(other)
    assert {IDS.number_hash(phone.parse(text).e164) for text in (one, other)} == {IDS.number_hash(one)}
    assert IDS.number_hash(one[:-1] + "0") != IDS.number_hash(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+5511961234567", "+551161234567"),  # Brazil's ninth digit: the carrier does not map it
        ("+54800555123", "+549800555123"),
        ("+5215512345678", "+515512345678"),
        ("+52155123456789", "+525512345678"),
        ("+12025550143", "+12025550144"),
    ],
)
def test_other_likenesses_are_two_people(one: str, other: str) -> None:
    """Nothing but the listed spellings is joined."""
    assert IDS.number_hash(one) != IDS.number_hash(other)


@given(
    st.one_of(
        st.from_regex(r"\+5[24][0-9]{9,12}", fullmatch=True), st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
    )
)
def test_an_identity_is_its_own(text: str) -> None:
    """Asked twice it is the same, and it is E.164."""
    assert identity(identity(text)) == identity(text)
    assert identity(text).startswith("+")


def test_a_code_goes_to_the_spelling_that_the_carrier_takes() -> None:
    """Mexico's old 1 is dropped; Argentina's 9 stays as it was written, since without it the number may be a line."""
    assert phone.parse("+5215512345678") == phone.parse("+525512345678")
    assert phone.parse("+5215512345678").e164 == "+525512345678"
    assert phone.parse("+5491123456789").e164 == "+5491123456789"
    assert phone.parse("+541123456789").e164 == "+541123456789"
