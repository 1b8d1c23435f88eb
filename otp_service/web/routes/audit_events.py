"""GET /audit/events: the audit record of an app, or of all with the scope `audit:all`."""

from collections.abc import Mapping
from typing import Any, Protocol

from ...domain.audit import EventType
from ...domain.ids import Ids
from ...domain.policy import Policy
from ...usecases.audit_filters import AuditFilter
from ...usecases.browse import Browse
from ..auth import EVERY_APP
from ..http import UNREAD_SHARDS, Call, Doc, Reply, Route, reply
from ..queries import decode_query
from ..schemas.audit import AuditPage, audit_event
from ..schemas.check import given
from ..schemas.queries import AuditQuery, bad_query
from .codes import CALLER, STORE

ONCE_MS = 60_000
"""Reading with one key and filters of the same names is on record once in this time."""


class Record(Protocol):
    """Puts an event on record, once for each mark in a while."""

    def __call__(self, kind: EventType, detail: Mapping[str, Any], throttle_ms: int, *, mark: str) -> object: ...


_DOC = Doc(
    "The audit record, in order of time",
    None,
    AuditPage,
    200,
    (*CALLER, *STORE, "invalid_request", "invalid_number"),
    query=AuditQuery,
    tag="audit",
    operation_id="listAuditEvents",
    description="One page; `next_cursor` leads to the next. A key with `audit:read` sees its own app's events. While "
    "shards of a Cluster do not respond, a page has what the others and the ledger have, and names them in "
    "`Unread-Shards`; what is missing comes on a later page, with its own, earlier time. 503 when nothing else is left "
    "to show: the same cursor goes on later.",
    may_be_partial=True,
)


class AuditRoutes:
    """Shows audit events."""

    def __init__(self, browse: Browse, record: Record, ids: Ids, policy: Policy) -> None:
        """`record` puts on record who read what, once in a while for each key and set of filters."""
        self._browse = browse
        self._record = record
        self._ids = ids
        self._policy = policy

    def routes(self) -> list[Route]:
        """The route of this resource."""
        return [Route("GET", "/audit/events", self.events, "audit:read", _DOC)]

    def events(self, call: Call) -> Reply:
        """GET /audit/events."""
        query = decode_query(call.query, AuditQuery)
        wanted = _filter(query)
        # Before anything is shown: who looks is on record, also if the answer is lost.
        self._put_on_record(call, query)
        try:
            page = self._browse.audit(wanted, visible_app=None if EVERY_APP in call.scopes else call.app)
        except ValueError as error:
            raise bad_query("cursor", "not a cursor of this service") from error
        body = AuditPage([audit_event(event) for event in page.events], page.next_cursor)
        missing = ", ".join(f"{shard:02x}" for shard in sorted(page.unread))
        return reply(200, body, **({UNREAD_SHARDS.replace("-", "_"): missing} if missing else {}))

    def _put_on_record(self, call: Call, query: AuditQuery) -> None:
        shown = self._shown(query)
        key_id = call.principal.key_id if call.principal else ""
        # By the names alone: whoever asks with ever new values would else fill the record, which is kept for good.
        mark = f"read:{key_id}:{','.join(sorted(shown))}"
        self._record(EventType.AUDIT_READ, shown, ONCE_MS, mark=mark)

    def _shown(self, query: AuditQuery) -> dict[str, Any]:
        """The filters; of a value that is no name of ours, only that there was one: it may be somebody's number."""
        verification, delivery, app = given(query.verification), given(query.delivery), given(query.app)
        shown: dict[str, Any] = {}
        if verification is not None:
            shown["verification"] = verification if self._ids.read(verification) else True
        if delivery is not None:
            shown["delivery"] = delivery if self._ids.read_delivery(delivery) else True
        if app is not None:
            shown["app"] = app if app in self._policy.apps else True
        if given(query.number) is not None:
            shown["number"] = True  # which one is nobody's business
        if query.type:
            shown["type"] = sorted(set(query.type))
        return shown


def _filter(query: AuditQuery) -> AuditFilter:
    return AuditFilter(
        app=given(query.app),
        verification_id=given(query.verification),
        delivery_id=given(query.delivery),
        to=given(query.number),
        types=frozenset(query.type),
        since_ms=query.since_ms,
        until_ms=query.until_ms,
        cursor=given(query.cursor),
        limit=query.limit,
    )
