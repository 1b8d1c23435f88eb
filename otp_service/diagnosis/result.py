"""What a check of the doctor found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the doctor: what was checked, whether it is well, and what to do if not."""

    name: str
    ok: bool
    detail: str
