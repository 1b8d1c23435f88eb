"""What a page of another origin may read: the routes that say `cross_origin`, and nothing else.

Any origin may, because an origin decides nothing here: the service sets no cookie and believes no address, so a page
can send only a token that somebody gave it, and reads no more with it than the same token would show on a command
line. A browser asks first (the preflight) because of the Authorization header, and remembers the answer.
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
    """The route that answers a browser's question whether it may use this one."""
    doc = Doc("A browser's question whether a page of another origin may ask", status=204)
    return Route("OPTIONS", route.template, _answer, None, doc, cross_origin=True)


def _answer(_: Call) -> Reply:
    return Reply(204, _PREFLIGHT, b"")
