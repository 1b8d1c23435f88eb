"""What the carrier's codes mean, for explanations."""

from ..domain.delivery import Refused
from ..telnyx import errors


def refusal_of(code: str, title: str, in_report: bool) -> Refused | None:
    """The refusal that a code and its title were, in a delivery report or in an answer to a request."""
    error = {"code": code, "title": title}
    if in_report:
        return errors.delivery_error(error)
    found = errors.classify(422, {"errors": [error]}, {})
    return found if isinstance(found, Refused) else None
