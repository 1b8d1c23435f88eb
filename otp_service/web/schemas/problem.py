"""Errors, as the OpenAPI document describes them. `web.problems` writes them."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...domain.factors import FactorKind
from ...domain.marks import MarkedTest
from .values import Count, ProblemCode, Seconds, words

_STATUS_FORM = {"minimum": 400, "maximum": 599}
_URI = {"format": "uri-reference"}


class FormError(msgspec.Struct):
    """Where a request is wrong: an RFC 6901 pointer into the body, or `?` and a query parameter; and a sentence."""

    pointer: str
    detail: str


class Alternative(msgspec.Struct):
    """A kind of factor that the subject has; recovery codes with how many are left."""

    kind: Annotated[str, words(FactorKind)]
    codes_left: Count | UnsetType = UNSET


class Reason(msgspec.Struct):
    """What keeps the service from being ready."""

    check: str
    detail: str


class Problem(msgspec.Struct):
    """RFC 9457 problem document. `code` is the stable word to branch on; `instance` is the request id."""

    type: Annotated[str, Meta(description="Where the code is explained.", extra_json_schema=_URI)]
    title: str
    status: Annotated[int, Meta(description="The status of the answer.", extra_json_schema=_STATUS_FORM)]
    detail: Annotated[str, Meta(description="A sentence for people.")]
    instance: Annotated[str, Meta(description="The request id, as in the header X-Request-Id.")]
    code: ProblemCode
    errors: Annotated[list[FormError], Meta(description="With `invalid_request`.")] | UnsetType = UNSET
    checks_left: Annotated[Count, Meta(description="With `code_incorrect`.")] | UnsetType = UNSET
    sends_left: Annotated[Count, Meta(description="With `resend_too_soon`.")] | UnsetType = UNSET
    resend_in: (
        Annotated[Seconds | None, Meta(description="With `resend_too_soon`. Null: not any more.")] | UnsetType
    ) = UNSET
    alternatives: (
        Annotated[list[Alternative], Meta(description="Of a start that cannot send: the other ways of its subject.")]
        | UnsetType
    ) = UNSET
    test: MarkedTest = UNSET
    reason: (
        Annotated[
            str,
            Meta(
                description="With `guard_refused`: what refused. A budget of the guard, `spend_limit`, or `risk_…` for "
                "the operator's risk hook."
            ),
        ]
        | UnsetType
    ) = UNSET
    risk_reason: (
        Annotated[str, Meta(description="With `guard_refused`: what the operator's risk hook said.")] | UnsetType
    ) = UNSET
    resubscribe: Annotated[str, Meta(description="With `opted_out`: how a person opts in.")] | UnsetType = UNSET
    reasons: Annotated[list[Reason], Meta(description="With `not_ready`, at /readyz.")] | UnsetType = UNSET
