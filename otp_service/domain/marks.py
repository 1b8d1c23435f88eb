"""What is said of a test number: `test: true`, and nothing of any other."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

MarkedTest = (
    Annotated[bool, Meta(description="True of a test number: nothing is sent to it. Left out of any other.")]
    | UnsetType
)


def marked_test(test: bool) -> bool | UnsetType:
    """The member `test` of an answer."""
    return True if test else UNSET
