"""/docs: all of the document, without a script; in a real browser narrow enough for a phone, and by keyboard alone."""

import html
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from ..conftest import wait_until
from .browser import Page, opened
from .conftest import PUBLIC_URL, ApiHarness

PHONE_PX = 360
REACHED = "[...document.querySelectorAll('a[href], summary')].filter((one) => one.checkVisibility())"
PLACE = f"{REACHED}.indexOf(document.activeElement)"
OUTLINED = "getComputedStyle(document.activeElement).outlineStyle === 'solid'"
ON_SCREEN = """(() => { const box = document.activeElement.getBoundingClientRect();
    return box.left >= 0 && box.right <= innerWidth && box.bottom > 0 && box.top < innerHeight; })()"""
TOO_WIDE = """[...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > innerWidth)
    .map((one) => one.outerHTML.slice(0, 80))"""


@pytest.fixture
def page(api: ApiHarness) -> str:
    """The page as served."""
    return api.call("GET", "/docs", key=None).body.decode()


@pytest.fixture
def document(api: ApiHarness) -> dict[str, Any]:
    """The document that it shows."""
    found: dict[str, Any] = api.call("GET", "/openapi.json", key=None).json
    return found


def text_of(page: str) -> str:
    """What a reader sees, without markup."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", page)))


def plain(words: str) -> str:
    """A text of the document as the page shows it."""
    return re.sub(r"\s+", " ", words.replace("`", ""))


def test_all_of_the_document_is_shown(page: str, document: dict[str, Any]) -> None:
    """Operations and callbacks with parameters, bodies, statuses; schemas with members; codes, headers, tokens."""
    shown = text_of(page)
    for path, methods in {**document["paths"], **document["webhooks"]}.items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path}" in shown
            for words in (operation["summary"], operation["description"], operation["operationId"]):
                assert plain(words) in shown
            inside = page.split(f'id="{operation["operationId"]}"')[1].split("</details>", maxsplit=1)[0]
            assert all(f"<h5>{status}</h5>" in inside for status in operation["responses"])
            for parameter in operation["parameters"]:
                assert f"<code>{parameter['name']} ({parameter['in']})</code>" in inside
                assert plain(parameter["description"]) in shown
    parts = document["components"]
    for name, schema in parts["schemas"].items():
        inside = page.split(f'<h3 id="schema-{name}">')[1].split("<h3", maxsplit=1)[0]
        assert all(f"<code>{member}</code>" in inside for member in schema.get("properties", {}))
        assert plain(schema.get("description", "")) in shown
        assert all(plain(member.get("description", "")) in shown for member in schema.get("properties", {}).values())
    assert all(plain(part["description"]) in shown for part in parts["securitySchemes"].values())
    assert all(plain(header["description"]) in shown for header in parts["headers"].values())
    assert all(f'id="{name.removesuffix("_422")}"' in page for name in parts["examples"])


def test_each_request_that_a_shell_can_make_is_printed(page: str) -> None:
    """With the bearer, the service's own address and an example of the body."""
    calls = [html.unescape(found) for found in re.findall(r"<pre><code>(curl .*?)</code></pre>", page, re.DOTALL)]
    start = next(one for one in calls if f'"{PUBLIC_URL}/verify/start"' in one)
    assert '-H "Authorization: Bearer $OTP_API_KEY"' in start
    assert '"to": "+12025550143"' in start
    assert any("Bearer $WATCH_TOKEN" in one and "?wait=25" in one for one in calls)
    assert any('/optouts/%2B12025550143"' in one for one in calls)
    assert not any("/webhooks/" in one for one in calls)


def test_every_link_leads_somewhere_on_the_page(page: str) -> None:
    """The only other address is the document's own; no id stands twice."""
    named = re.findall(r' id="([^"]+)"', page)
    assert len(named) == len(set(named))
    links = set(re.findall(r'href="([^"]*)"', page))
    assert {link for link in links if link.removeprefix("#") not in named} == {"/openapi.json"}
    assert not re.search(r"<script|<link|<img|\ssrc=|url\(|@import|\son[a-z]+=|\sstyle=", page)


@pytest.fixture
def address(api: ApiHarness) -> Iterator[str]:
    """Where the page is served over a socket."""
    server = make_server("127.0.0.1", 0, api.app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/docs"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.browser
def test_a_phone_and_a_keyboard_are_enough(address: str, tmp_path: Path) -> None:
    """360 pixels without scrolling sideways, all open; Tab reaches everything in order and shows where it is."""
    with opened(tmp_path / "browser") as page:
        page.open(address, PHONE_PX)
        assert page.see("getComputedStyle(document.querySelector('details')).borderTopStyle") == "solid"
        reach_everything(page)
        use_the_keys(page)
        page.open(f"{address}#startVerification", PHONE_PX)
        wait_until(lambda: page.see("document.getElementById('startVerification').closest('details').open"))
        page.see("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.see("document.documentElement.scrollWidth") == page.see("innerWidth") == PHONE_PX
        assert page.see(TOO_WIDE) == []
        assert page.see("performance.getEntriesByType('resource').map((one) => one.name)") == []


def reach_everything(page: Page) -> None:
    """Press Tab until the last link: each is focused in its turn, outlined, and on the screen."""
    for place in range(page.see(f"{REACHED}.length")):
        page.press("Tab")
        assert page.see(f"[{PLACE}, {OUTLINED}, {ON_SCREEN}]") == [place, True, True]


def use_the_keys(page: Page) -> None:
    """Enter opens an operation and closes it again; the link at the beginning leads past the contents."""
    page.see("document.querySelector('summary').focus()")
    for opened_now in (True, False):
        page.press("Enter")
        assert page.see("document.querySelector('details').open") is opened_now
    page.see("document.querySelector('a.skip').focus()")
    page.press("Enter")
    assert page.see("document.activeElement.id") == "content"
    page.press("Tab")
    assert page.see("document.querySelector('main').contains(document.activeElement)")
