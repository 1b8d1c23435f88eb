"""Requests and replies as plain values: handlers need no framework, and any server can serve them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ..domain.errors import Refusal
from ..storage.known_api_keys import Principal

MAX_BODY = 64 * 1024
NO_STORE = {"Cache-Control": "no-store"}
PUBLIC = {"Cache-Control": "public, max-age=300"}
LASTING = {"Cache-Control": "private, max-age=31536000, immutable"}
"""What will never change, for those who may see it."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "QUERY"})
"""Methods that HTTP defines (RFC 9110, 9.3; RFC 5789; "The HTTP QUERY Method"). Another one is 501, and one of these
that a path does not take is 405 (RFC 9110, 9.1)."""

METHOD_UNKNOWN = Refusal("method_unknown", "The service knows no such method. /docs lists what each path takes.")

JSON = "application/json"
FACTOR_RECEIPT = "Factor-Receipt"
"""The header with the receipt of a change whose answer has no body."""

UNREAD_SHARDS = "Unread-Shards"
"""The header that names the shards whose latest events a page lacks, as `seq` begins: `03, 0a`."""


class Call(msgspec.Struct):
    """One request: values from the path and query, headers with lower-case names, and the raw body.

    `peer` is the address of the connection, never that of a proxy header. The endpoint fills in `principal` and `body`
    as it comes to them. Its repr shows nothing that a caller sent.
    """

    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes
    peer: str = ""
    request_id: str = ""
    principal: Principal | None = None

    def __repr__(self) -> str:
        return f"Call(peer={self.peer!r}, request_id={self.request_id!r}, principal={self.principal!r})"

    @property
    def app(self) -> str:
        """The app whose key made the call; only routes with a scope may ask."""
        if self.principal is None:
            raise LookupError("this route has no principal")
        return self.principal.app

    @property
    def scopes(self) -> frozenset[str]:
        """What the key may do; nothing without one."""
        return frozenset() if self.principal is None else self.principal.scopes


class Reply(msgspec.Struct, frozen=True):
    """One answer: status, headers, body. Its repr shows no body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    code: str | None = None
    waited_s: float = 0.0
    """How long the request waited because it asked for that."""

    verification_id: str | None = None
    """What it is about, for the log."""

    def __repr__(self) -> str:
        return f"Reply(status={self.status!r}, code={self.code!r}, verification_id={self.verification_id!r})"


Handler = Callable[[Call], Reply]
Precheck = Callable[[Call], Reply | None]


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """Access with a token in place of an API key: `admits` judges the token, `handler` answers the request."""

    admits: Callable[[Call], bool]
    handler: Handler


@dataclass(frozen=True, slots=True)
class Doc:
    """What the OpenAPI document says of a route. `codes` are the problem codes it can answer with.

    `query` is the struct of its query parameters, `also` further statuses of success. `may_retry`: a success may have
    Retry-After. `or_reply`: another body of a success. `rate_limited`: answers tell the limits. `factor_receipt`: a
    success has the receipt of a change in a header. `may_be_partial`: a header names shards that did not answer.
    """

    summary: str
    request: type[Any] | None = None
    reply: type[Any] | None = None
    status: int = 200
    codes: tuple[str, ...] = ()
    query: type[msgspec.Struct] | None = None
    headers: tuple[tuple[str, str], ...] = ()
    media: str = JSON
    tag: str = "verifications"
    also: tuple[int, ...] = ()
    rate_limited: bool = False
    operation_id: str = ""
    description: str = ""
    may_retry: bool = False
    or_reply: type[Any] | None = None
    factor_receipt: bool = False
    may_be_partial: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. `template` is `/verify/{verification_id}`; `scope` None means open to everybody.

    `precheck` runs right after authentication and before the scope is judged; it may answer already. A request that
    `token_access` does not admit needs an API key. Pages of other origins may read a `cross_origin` route. A route that
    does not say `waits` is answered at once, however busy the process is; its handler only answers.
    """

    method: str
    template: str
    handler: Handler
    scope: str | None
    doc: Doc
    precheck: Precheck | None = None
    token_access: TokenAccess | None = None
    cross_origin: bool = False
    waits: bool = True


def reply(status: int, value: object, verification_id: str | None = None, **headers: str) -> Reply:
    """A JSON reply that no cache may store, encoded here and nowhere else. Header names are given with underscores.

    `verification_id`: what it is about, for the log.
    """
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    sent = {"Content-Type": JSON, **NO_STORE, **named}
    return Reply(status, sent, msgspec.json.encode(value), verification_id=verification_id)
