"""Test numbers in the configuration: fictitious ones by themselves, any other only where the operator says so."""

from pathlib import Path

import pytest

from otp_service.diagnosis.fixed_codes import check_test_numbers

from .reading import read, refusal
from .test_settings import APP, SENDERS


def listed(*lines: str) -> str:
    """A file whose app has one test number of these lines."""
    return SENDERS + APP + "\n[[apps.default.test_numbers]]\n" + "\n".join(lines)


def test_a_fictitious_number_and_a_real_one(tmp_path: Path) -> None:
    """Both are read, stand in no repr, and are shown masked by `doctor`."""
    text = listed('number = "+13125550100"', 'code = "424242"')
    more = '\n[[apps.default.test_numbers]]\nnumber = "+442071838750"\ncode = "171717"\nreal = true\n'
    settings = read(tmp_path, text + more)
    app = settings.policy.apps["default"]
    assert app.test_codes == {"+13125550100": "424242", "+442071838750": "171717"}
    assert "424242" not in repr(app)
    (result,) = check_test_numbers(settings)
    assert (result.name, result.ok) == ("test numbers of default", True)
    assert result.detail.startswith("+1******0100, +44******8750 (real): a fixed code opens them")
    assert list(check_test_numbers(read(tmp_path, SENDERS + APP))) == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['number = "+442071838750"', 'code = "171717"'], "number: +44******8750 may be somebody's number"),
        (['number = "+13125551234"', 'code = "171717"', "real = false"], "write real = true beside it"),
        (['number = "3125550100"', 'code = "171717"'], "number: Send the number in E.164"),
        (['number = "+13125550100"', 'code = "17171"'], "code: must have as many digits as the app's codes: 6"),
        (['number = "+13125550100"', 'code = "１７１７１７"'], "code: must have as many digits"),
        (['number = "+13125550100"', "code = 171717"], "must be text in quotes, not a whole number"),
        (['number = "+13125550100"'], "required field `code`"),
        (['number = "+13125550100"', 'code = "171717"', "days = 3"], "unknown field `days`"),
    ],
)
def test_what_is_no_test_number(tmp_path: Path, lines: list[str], words: str) -> None:
    """Refused at load, by its key and without the code."""
    said = refusal(tmp_path, listed(*lines))
    assert said.startswith("apps.default.test_numbers[0]")
    assert words in said
    assert "1717" not in said


def test_a_number_stands_in_the_list_once(tmp_path: Path) -> None:
    """Two codes for one number would be a trap."""
    text = listed('number = "+13125550100"', 'code = "424242"')
    said = refusal(tmp_path, text + '\n[[apps.default.test_numbers]]\nnumber = "+13125550100"\ncode = "111111"\n')
    assert said == "apps.default.test_numbers[1].number: is in the list twice; write it once"
