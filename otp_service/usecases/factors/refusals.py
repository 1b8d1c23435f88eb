"""Refusals that several use cases of factors give."""

from ...domain.errors import Refusal

NO_FACTOR = Refusal(
    "factor_not_found", "There is no such factor, or none that this code could be of. GET /factors lists a subject's."
)
"""The same for a factor that never existed and for another app's."""

USED = Refusal("code_used", "This code was used before. Wait for the next one, or take another recovery code.")
ACTIVE = Refusal("code_used", "It is active already: a code confirmed it.")
EXPIRED = Refusal("factor_expired", "It was not confirmed within 15 minutes. Enrol it again.")
EXHAUSTED = Refusal("attempts_exhausted", "All tries to confirm it are used up. Enrol it again.")
TOO_MANY = Refusal("too_many_factors", "The subject has as many authenticator apps as it may have. Remove one first.")


def wrong(checks_left: int) -> Refusal:
    """The code is not right. `checks_left`: so many more cost no wait."""
    detail = f"The code is not right. Tries left: {checks_left}."
    return Refusal("code_incorrect", detail, fields={"checks_left": checks_left}, guessed=True)
