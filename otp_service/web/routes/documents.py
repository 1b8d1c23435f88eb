"""GET /openapi.json and GET /docs: the description of the API, for programs and for people."""

from collections.abc import Callable, Sequence

import msgspec

from ..http import JSON, PUBLIC, Call, Doc, Reply, Route
from ..openapi.document import describe
from ..problems import STATUS
from ..reference.page import render

_NONCE = "{{nonce}}"
DOCS_CSP = "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_OPENAPI = Doc(
    "This document",
    None,
    dict,
    codes=("not_ready",),
    tag="operation",
    operation_id="getOpenApiDocument",
    description="OpenAPI 3.1, made from the types that validate requests.",
)
_DOCS = Doc(
    "This document for people",
    codes=("not_ready",),
    media="text/html",
    tag="operation",
    operation_id="getDocumentation",
    description="A page without scripts that loads nothing.",
)


class DocumentRoutes:
    """Shows the OpenAPI document. `token` makes nonces."""

    def __init__(self, public_url: str, token: Callable[[], str]) -> None:
        self._public_url = public_url
        self._token = token
        self._document = b"{}"
        self._page = ""

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        return [
            Route("GET", "/openapi.json", self.openapi, None, _OPENAPI),
            Route("GET", "/docs", self.docs, None, _DOCS),
        ]

    def describe(self, routes: Sequence[Route]) -> None:
        """Make the OpenAPI document of all routes, once."""
        self._document = msgspec.json.encode(describe(routes, self._public_url))
        self._page = ""

    def openapi(self, _: Call) -> Reply:
        """GET /openapi.json."""
        return Reply(200, {"Content-Type": JSON, **PUBLIC}, self._document)

    def docs(self, _: Call) -> Reply:
        """GET /docs: the same document for people."""
        nonce = self._token()
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": DOCS_CSP.replace("{nonce}", nonce),
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }
        # Made when somebody first reads it: most processes never show it.
        self._page = self._page or render(msgspec.json.decode(self._document), STATUS, _NONCE)
        return Reply(200, headers, self._page.replace(_NONCE, nonce).encode())
