"""Notices: in every language of the codes, one segment where the brand is short, and nothing that looks like a code."""

import pytest

from otp_service.domain.errors import SealBroken
from otp_service.domain.message_templates import TEMPLATES
from otp_service.domain.message_text import hides_code
from otp_service.domain.notices import BoundNumber, Notice, pack_number, render, unpack_number
from otp_service.domain.sms_segments import segments


@pytest.mark.parametrize("language", TEMPLATES)
@pytest.mark.parametrize("notice", Notice)
def test_a_notice_fits_into_one_segment(language: str, notice: Notice) -> None:
    """With the sentence about STOP; without it where nobody reads replies."""
    text = render(notice, brand="Acme", language=language, replies=True)
    size = segments(text)
    assert (size.encoding, size.parts) == ("GSM-7", 1)
    assert text.startswith("Acme")
    assert text.endswith(TEMPLATES[language].stop)
    assert not hides_code(text)
    assert TEMPLATES[language].stop not in render(notice, brand="Acme", language=language, replies=False)


def test_a_sealed_number_belongs_to_its_subject() -> None:
    """Another one's is refused; none stands in a repr."""
    number = BoundNumber("+12025550143", "fr")
    assert unpack_number("ab", pack_number("ab", number)) == number
    with pytest.raises(SealBroken):
        unpack_number("cd", pack_number("ab", number))
    assert "0143" not in repr(number)
