"""Problem codes that many routes have in common, for the OpenAPI document."""

from ...domain.verification import ENDED_CODE

CALLER = ("unauthorized", "forbidden")
STORE = ("store_unavailable", "not_ready")
BODY = ("payload_too_large", "unsupported_media_type", "invalid_request")
ENDED = tuple(ENDED_CODE.values())
