"""What bundles say in few characters, and statements that cannot be meant."""

import pytest

from otp_service.transparency import bundles


def test_ranges() -> None:
    """Numbers in few characters."""
    assert bundles.ranges_of([1, 2, 3, 7, 9, 10]) == "1-3,7,9-10"
    assert bundles.numbers_of("1-3,7,9-10") == [1, 2, 3, 7, 9, 10]
    assert bundles.numbers_of(bundles.ranges_of([])) == []
    for wrong in ("x", "1-y", "1-99999999999999"):
        with pytest.raises(ValueError, match=r"invalid literal|more than"):
            bundles.numbers_of(wrong)


@pytest.mark.parametrize("records", ["x", "1-99999999999999"])
def test_a_statement_that_cannot_be_meant_is_refused(records: str) -> None:
    """A verdict, and no exception of another kind."""
    statement = {"type": bundles.STATED, "detail": {"records": records}}
    with pytest.raises(bundles.BundleRefused, match="does not say which records belong here"):
        bundles.require_complete([], statement)
