"""GET /audit/events: the audit record of an app, or of all with the scope `audit:all`."""

from ...usecases.browse import AuditFilter, Browse
from ..auth import EVERY_APP
from ..http import Call, Doc, Reply, Route, reply
from ..queries import decode_query
from ..schemas.audit import AuditPage, audit_event
from ..schemas.check import given
from ..schemas.queries import AuditQuery, bad_query
from .codes import CALLER, STORE

_DOC = Doc(
    "The audit record, in order of time",
    None,
    AuditPage,
    200,
    (*CALLER, *STORE, "invalid_request", "invalid_number"),
    query=AuditQuery,
    tag="audit",
    operation_id="listAuditEvents",
    description="One page; `next_cursor` leads to the next. A key with `audit:read` sees its own app's events.",
)


class AuditRoutes:
    """Shows audit events."""

    def __init__(self, browse: Browse) -> None:
        self._browse = browse

    def routes(self) -> list[Route]:
        """The route of this resource."""
        return [Route("GET", "/audit/events", self.events, "audit:read", _DOC)]

    def events(self, call: Call) -> Reply:
        """GET /audit/events."""
        wanted = _filter(decode_query(call.query, AuditQuery))
        try:
            page = self._browse.audit(wanted, visible_app=None if EVERY_APP in call.scopes else call.app)
        except ValueError as error:
            raise bad_query("cursor", "not a cursor of this service") from error
        return reply(200, AuditPage([audit_event(event) for event in page.events], page.next_cursor))


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
