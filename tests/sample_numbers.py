"""Numbers that nobody has, 555-0100 to 555-0199 of every area code of the USA: with a sandbox they cost nothing.

So the pumping guard does not count them, however many codes go to them.
"""

from otp_service.domain.numbering import AREA_CODES

_AREAS = sorted(area for area, region in AREA_CODES.items() if region == "US")


def sample(index: int) -> str:
    """The number with this index, each in another area code than the one before; after some 30,000 from the start."""
    line, area = divmod(index, len(_AREAS))
    return f"+1{_AREAS[area]}55501{line % 100:02d}"
