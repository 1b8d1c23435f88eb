"""`[[limits]]`: further limits, each an entry of one list."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..domain.limits import OF_GUESSES
from ..domain.policy import App, LimitEvent, LimitMode, NamedLimit
from .apps import limits
from .faults import Faults
from .sections import LimitSection
from .tables import read_section


def read_limits(document: Mapping[str, Any], apps: Mapping[str, App], faults: Faults) -> tuple[NamedLimit, ...]:
    """The entries; of no use if there are faults."""
    entries = document.get("limits", [])
    if not isinstance(entries, list):
        faults.add("limits", "must be a list of tables; write [[limits]]")
        return ()
    sections = [read_section(raw, LimitSection, f"limits[{at}]", faults) for at, raw in enumerate(entries)]
    _check_names(sections, faults)
    return tuple(_entries(sections, apps, faults))


def _check_names(sections: list[LimitSection], faults: Faults) -> None:
    names = [section.name for section in sections]
    for at, name in enumerate(names):
        if name is not None and name in names[:at]:
            faults.add(f"limits[{at}].name", f"{name!r} is the name of another limit; refusals tell them apart by it")


def _entries(sections: list[LimitSection], apps: Mapping[str, App], faults: Faults) -> Iterator[NamedLimit]:
    for at, section in enumerate(sections):
        event = section.event or LimitEvent.START
        for unknown in (app for app in section.apps or () if app not in apps):
            known = ", ".join(apps) or "none"
            faults.add(f"limits[{at}].apps", f"there is no app {unknown!r}; the apps are: {known}")
        if event is LimitEvent.WRONG_CODE:
            _check_guesses(f"limits[{at}].key", section, faults)
        yield NamedLimit(
            section.name or "",
            tuple(section.key or ()),
            event,
            limits(section.rules) or (),
            section.mode or LimitMode.ENFORCE,
            None if section.apps is None else frozenset(section.apps),
        )


def _check_guesses(where: str, section: LimitSection, faults: Faults) -> None:
    for one in section.key or ():
        if one.key not in OF_GUESSES:
            known = ", ".join(sorted(OF_GUESSES))
            faults.add(where, f"'{one.key}' is not known of a wrong code; such a limit counts by {known}")
