"""Groups of countries that `countries` takes beside single codes: a country and what it owns elsewhere.

The members are ISO 3166 codes that have numbers. A group is one legal space for its people, and often several plans
or prices for a sender: so a group is asked for by its name, and a country alone never means its territories.
"""

from collections.abc import Iterable, Mapping

GROUPS: Mapping[str, frozenset[str]] = {
    "US+territories": frozenset({"US", "AS", "GU", "MP", "PR", "VI"}),
    "GB+crown": frozenset({"GB", "GG", "IM", "JE"}),
}
"""The inhabited territories of the United States (48 U.S.C.); the Crown dependencies, which share the code 44."""


def expanded(names: Iterable[str]) -> frozenset[str]:
    """The countries of a list that may name groups. What is no group stays as it is, `*` too."""
    return frozenset(country for name in names for country in GROUPS.get(name, (name,)))
