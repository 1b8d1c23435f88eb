"""Which kinds of numbers an app sends to, and which countries a group means: over the library's whole metadata."""

from functools import cache
from pathlib import Path

import pytest

from otp_service.domain import phone, routing
from otp_service.domain.numbering import AREA_CODES, EITHER, USUAL_KINDS, Kind
from otp_service.domain.policy import App
from otp_service.domain.territories import GROUPS, expanded
from tests.config.reading import read, refusal

from .test_numbering import EXAMPLES, decide


@cache
def real() -> list[phone.Phone]:
    """The examples that can be a number. Not at import, for every worker of the tests would read them."""
    return [phone.parse(text) for _, _, text, _ in EXAMPLES if decide(text, "*") != "invalid_number"]


def expected(to: phone.Phone, kinds: frozenset[Kind]) -> str | None:
    """What a policy says whose countries are the number's own and whose kinds are these."""
    either = to.kind is Kind.FIXED_LINE_OR_MOBILE and bool(kinds & EITHER)
    if to.kind not in kinds and not either:
        return "destination_blocked"
    return "country_not_allowed" if to.region is None and to.country_code != 1 else None


@pytest.mark.parametrize("kind", Kind)
def test_each_example_is_sent_to_exactly_if_its_kind_is_listed(kind: Kind) -> None:
    """One kind alone, all but it, and it beside the usual ones: for each country and type of the library."""
    for kinds in (frozenset({kind}), frozenset(Kind) - {kind}, USUAL_KINDS | {kind}):
        apps = {own: App("a", "A", (), countries=frozenset({own}), number_types=kinds) for own in (*phone.REGIONS, "*")}
        for to in real():
            wanted = expected(to, kinds)
            assert routing.refused_destination(apps[to.region or "US"], to) == wanted, (to.e164, kinds)
            everywhere = wanted if wanted == "destination_blocked" else None
            assert routing.refused_destination(apps["*"], to) == everywhere, (to.e164, kinds)


def test_the_examples_are_of_every_kind() -> None:
    """But of unknown ones, of which the library has no example."""
    assert set(Kind) - {to.kind for to in real()} == {Kind.UNKNOWN}
    assert len(real()) > 900


@pytest.mark.parametrize(
    ("number", "countries", "kinds", "decided"),
    [
        ("+12025550143", ("US",), {Kind.MOBILE}, "sent"),
        ("+12025550143", ("US",), {Kind.FIXED_LINE}, "sent"),
        ("+12025550143", ("US",), {Kind.TOLL_FREE}, "destination_blocked"),
        ("+18442345678", ("US",), {Kind.TOLL_FREE}, "sent"),
        ("+18442345678", ("JM",), {Kind.TOLL_FREE}, "sent"),
        ("+18442345678", ("GB",), {Kind.TOLL_FREE}, "country_not_allowed"),
        ("+19002345678", ("US",), {Kind.TOLL_FREE}, "destination_blocked"),
        ("+447400123456", ("GB",), {Kind.MOBILE}, "sent"),
        ("+442079461000", ("GB",), {Kind.MOBILE}, "destination_blocked"),
        ("+447640123456", ("GB",), USUAL_KINDS | {Kind.PAGER}, "sent"),
        ("+881612345678", ("US",), {Kind.SATELLITE}, "country_not_allowed"),
        ("+881612345678", ("*",), {Kind.SATELLITE}, "sent"),
        ("+12647369616", ("AI",), USUAL_KINDS | {Kind.UNKNOWN}, "sent"),
    ],
)
def test_a_listed_kind_passes_in_its_own_countries(
    number: str, countries: tuple[str, ...], kinds: set[Kind], decided: str
) -> None:
    """A shared range of North America passes with a country of its plan, one of the whole earth with all countries."""
    assert decide(number, *countries, kinds=frozenset(kinds)) == decided


# ---- groups of countries --------------------------------------------------------------------------------------------


def test_the_territories_are_those_with_area_codes() -> None:
    """Each member has numbers; no number of another country passes."""
    assert all(members <= phone.REGIONS for members in GROUPS.values())
    listed = expanded(["US+territories"])
    for area, region in AREA_CODES.items():
        wanted = "sent" if region in {"US", "PR", "GU", "VI", "AS", "MP"} else "country_not_allowed"
        assert decide(f"+1{area}5550123", *listed) == wanted, area


@pytest.mark.parametrize(
    ("number", "alone", "group"),
    [
        ("+447400123456", "sent", "sent"),
        ("+447781123456", "country_not_allowed", "sent"),
        ("+447797712345", "country_not_allowed", "sent"),
        ("+447624123456", "country_not_allowed", "sent"),
        ("+33612345678", "country_not_allowed", "country_not_allowed"),
    ],
)
def test_the_crown_dependencies_are_asked_for_by_name(number: str, alone: str, group: str) -> None:
    """Guernsey, Jersey and Man share the code 44, and are not Great Britain."""
    assert decide(number, "GB") == alone
    assert decide(number, *expanded(["GB+crown"])) == group


FILE = """
[senders.pool]
kind = "number_pool"
messaging_profile_id = "p"
[apps.default]
brand = "Acme"
route = ["pool"]
"""


def test_the_configuration_takes_groups_and_kinds(tmp_path: Path) -> None:
    """A group stands beside single codes; what is left out keeps the usual kinds."""
    app = read(tmp_path, FILE).policy.apps["default"]
    assert app.number_types == USUAL_KINDS
    more = 'countries = ["US+territories", "GB+crown", "FR"]\nnumber_types = ["mobile", "toll_free"]\n'
    app = read(tmp_path, FILE + more).policy.apps["default"]
    assert app.countries == GROUPS["US+territories"] | GROUPS["GB+crown"] | {"FR"}
    assert app.number_types == {Kind.MOBILE, Kind.TOLL_FREE}
    sentence = refusal(tmp_path, FILE + 'countries = ["US+islands"]')
    assert "US+territories" in sentence
    assert "toll_free" in refusal(tmp_path, FILE + 'number_types = ["tollfree"]')
