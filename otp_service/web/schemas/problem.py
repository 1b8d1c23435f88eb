"""Errors, as the OpenAPI document describes them. `web.problems` writes them."""

import msgspec


class FormError(msgspec.Struct):
    """Where a body is wrong: an RFC 6901 pointer and a sentence."""

    pointer: str
    detail: str


class Problem(msgspec.Struct):
    """RFC 9457 problem document. `code` is the stable word to branch on; `instance` is the request id."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FormError] | None = None
    checks_left: int | None = None
    sends_left: int | None = None
    resend_in: int | None = None
    resubscribe: str | None = None
