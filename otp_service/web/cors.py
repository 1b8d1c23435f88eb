"""Which routes a page of another origin may read: those that say `cross_origin`, and no others.

Every origin is allowed, because an origin decides nothing here. The service sets no cookie and trusts no address, so
a page can only send a token that it was given, and gets no more with it than any other client. A browser sends a
preflight first because of the Authorization header, and caches the reply.
"""

from .http import NO_STORE, Call, Doc, Reply, Route

REMEMBERED_S = 7200
ALLOWED = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After, X-Request-Id"}
_PREFLIGHT = {
    **NO_STORE,
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Allow-Headers": "Authorization",
    "Access-Control-Max-Age": str(REMEMBERED_S),
}


def preflight_of(route: Route) -> Route:
    """The route that answers the preflight of a browser for this one."""
    doc = Doc("The preflight of a browser for a page of another origin", status=204)
    return Route("OPTIONS", route.template, _answer, None, doc, cross_origin=True)


def _answer(_: Call) -> Reply:
    return Reply(204, _PREFLIGHT, b"")
