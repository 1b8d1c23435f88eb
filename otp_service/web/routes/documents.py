"""GET /openapi.json and GET /docs: the description of the API, for programs and for people."""

from collections.abc import Callable, Sequence
from importlib.resources import files

import msgspec

from ..http import JSON, PUBLIC, Call, Doc, Reply, Route
from ..openapi.document import describe
from ..problems import STATUS

DOCS_CSP = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OPENAPI = Doc(
    "This document",
    None,
    dict,
    tag="operation",
    operation_id="getOpenApiDocument",
    description="OpenAPI 3.1, made from the types that validate requests.",
)
_DOCS = Doc(
    "This document for people",
    media="text/html",
    tag="operation",
    operation_id="getDocumentation",
    description="A page that loads nothing from elsewhere.",
)


class DocumentRoutes:
    """Shows the OpenAPI document. `token` makes nonces."""

    def __init__(self, public_url: str, token: Callable[[], str]) -> None:
        self._public_url = public_url
        self._token = token
        self._document = b"{}"

    def routes(self) -> list[Route]:
        """The routes of this resource."""
        return [
            Route("GET", "/openapi.json", self.openapi, None, _OPENAPI),
            Route("GET", "/docs", self.docs, None, _DOCS),
        ]

    def describe(self, routes: Sequence[Route]) -> None:
        """Make the OpenAPI document of all routes, once."""
        self._document = msgspec.json.encode(describe(routes, self._public_url))

    def openapi(self, _: Call) -> Reply:
        """GET /openapi.json."""
        return Reply(200, {"Content-Type": JSON, **PUBLIC}, self._document)

    def docs(self, _: Call) -> Reply:
        """GET /docs: the same document for people. The page loads nothing from elsewhere."""
        page = (files("otp_service.web") / "templates" / "docs.html").read_text(encoding="utf-8")
        nonce = self._token()
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": DOCS_CSP.replace("{nonce}", nonce),
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }
        return Reply(200, headers, page.replace("{{nonce}}", nonce).replace("{{codes}}", _code_rows()).encode())


def _code_rows() -> str:
    return "".join(
        f'<tr id="{code}"><td><code>{code}</code></td><td>{status}</td><td>{title}</td></tr>'
        for code, (status, title) in sorted(STATUS.items())
    )
