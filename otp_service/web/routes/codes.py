"""What several routes have in common: problem codes and headers for the OpenAPI document, words of the metrics."""

from ...domain.verification import ENDED_CODE
from ..schemas.forms import IDEMPOTENCY_KEY_FORM

CALLER = ("unauthorized", "forbidden")
STORE = ("store_unavailable", "not_ready")
BODY = ("payload_too_large", "unsupported_media_type", "invalid_request")
ENDED = tuple(ENDED_CODE.values())
CHECK_KEY_HEADER = (
    f"{IDEMPOTENCY_KEY_FORM}, new for each check that a person makes. A repeat of an approved check gets the same "
    "reply and receipt for 24 hours, with `Idempotent-Replayed: true`; another body under it is 422. Refusals are not "
    "stored: a wrong code that is sent again is judged again, and costs a try."
)


def answer_word(*, replayed: bool, test: bool) -> str:
    """How an approval is counted. One that is told again counts as neither of the others."""
    return "replayed" if replayed else "test" if test else "approved"
