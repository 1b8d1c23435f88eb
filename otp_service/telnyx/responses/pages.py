"""Where a page of a list stands."""

from dataclasses import dataclass

from .. import json


@dataclass(frozen=True, slots=True)
class PageMeta:
    """Where a page of a list stands; pages count from 1."""

    page_number: int
    page_size: int
    total_pages: int
    total_results: int

    @classmethod
    def read(cls, value: object) -> "PageMeta | None":
        """Read it; None unless every member is a whole number that is not negative."""
        members = json.mapping(value)
        numbers = [json.integer(members.get(name)) for name in cls.__slots__]
        known = [n for n in numbers if n is not None and n >= 0]
        return cls(*known) if len(known) == len(numbers) else None
