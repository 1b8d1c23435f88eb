"""`[senders.NAME]`: the senders of the configuration."""

import re
from typing import Any

from ..domain.policy import DEFAULT_RATE_PER_S, FALLBACK_RATE_PER_S, Sender, SenderKind, Template
from . import checks
from .faults import Faults
from .sections import SenderSection
from .tables import read_section

_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", re.ASCII)
_SHORT_CODE = re.compile(r"[0-9]{3,8}", re.ASCII)


def read_sender(name: str, raw: Any, faults: Faults) -> Sender:
    """One sender; of no use if there are faults."""
    key = f"senders.{name}"
    section = read_section(raw, SenderSection, key, faults)
    kind = section.kind
    if kind is not None:
        _check_address(kind, section, key, faults)
        _check_template(kind, section, key, faults)
    rate = section.rate_per_s or DEFAULT_RATE_PER_S.get(kind or SenderKind.LONG_CODE, FALLBACK_RATE_PER_S)
    return Sender(
        name=name,
        kind=kind or SenderKind.LONG_CODE,
        messaging_profile_id=section.messaging_profile_id or "",
        address=section.from_,
        rate_per_s=rate,
        template=_template(section),
    )


def _check_address(kind: SenderKind, section: SenderSection, key: str, faults: Faults) -> None:
    address, key = section.from_, f"{key}.from"
    if kind is SenderKind.NUMBER_POOL:
        if address is not None:
            faults.add(key, "a number pool chooses its own number; leave it out")
    elif address is None:
        faults.add(key, f"missing; a {kind} sender needs it")
    else:
        problem = _address_problem(kind, address)
        if problem is not None:
            faults.add(key, problem)


def _address_problem(kind: SenderKind, address: str) -> str | None:
    if kind is SenderKind.ALPHANUMERIC:
        return None if _ALPHANUMERIC.fullmatch(address) else "1 to 11 letters, digits and spaces, at least one letter"
    if kind is SenderKind.SHORT_CODE:
        return None if _SHORT_CODE.fullmatch(address) else "a short code has 3 to 8 digits"
    try:
        checks.e164(address)
    except ValueError as error:
        return str(error)
    return None


def _check_template(kind: SenderKind, section: SenderSection, key: str, faults: Faults) -> None:
    if kind is SenderKind.WHATSAPP:
        if section.template is None:
            faults.add(f"{key}.template", "missing; a whatsapp sender names its approved authentication template")
    elif section.template is not None:
        faults.add(f"{key}.template", "only a whatsapp sender has a template; leave it out")


def _template(section: SenderSection) -> Template | None:
    if section.template is None:
        return None
    if section.template_language is None:
        return Template(section.template)
    return Template(section.template, section.template_language)
