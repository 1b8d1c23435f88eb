"""Problem codes and headers that several routes have in common, for the OpenAPI document."""

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
