"""The phones page: self-contained, under a strict policy, filled by two sources that send all and in time."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from otp_service.sandbox.page import MAX_STREAMS
from tests.sandbox.conftest import BACKUP, PERSON, chaos, eventually, inbox, long_code, reply
from tests.web.browser import opened

OTHER = "+13125550111"


def test_the_page_is_self_contained(api: httpx.Client) -> None:
    """No resource from outside; every script and style carries the nonce of this very answer."""
    answer = api.get("/")
    policy = answer.headers["Content-Security-Policy"]
    (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert re.findall(r"<(?:script|style)\b[^>]*>", answer.text) == [
        f'<style nonce="{nonce}">',
        f'<script nonce="{nonce}">',
    ]
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", answer.text)
    assert not re.search(r"\son[a-z]+=|\sstyle=", answer.text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", answer.text)
    assert nonce not in api.get("/").text


def test_every_field_has_a_name_for_everyone(api: httpx.Client) -> None:
    """Each input, select and textarea has a label."""
    page = api.get("/").text
    for tag in re.findall(r"<(?:input|select|textarea)\b[^>]*>", page):
        named = re.search(r'\bid="([^"]+)"', tag)
        inside = re.search(r"<label[^>]*>[^<]*" + re.escape(tag), page)
        assert inside or (named and f'for="{named[1]}"' in page), tag


def test_the_overview_has_both_sides(http: httpx.Client) -> None:
    """Texts in and out of every phone are listed, the latest phone first."""
    long_code(http, to=OTHER)
    eventually(lambda: inbox(http, OTHER))
    chaos(http, delivery={"outcome": "delivery_unconfirmed", "delay_ms": 0})
    long_code(http, text="<b>7</b>")
    eventually(lambda: inbox(http))
    reply(http, "NO")
    first, second = http.get("/sandbox/phones").json()["phones"]
    assert (first["number"], second["number"]) == (PERSON, OTHER)
    assert first["arrived"] == 1
    bubbles = [(m["text"], m["with"], m["outgoing"], m["status"]) for m in first["messages"]]
    assert bubbles == [("<b>7</b>", BACKUP, False, "delivery_unconfirmed"), ("NO", BACKUP, True, "received")]


def test_changes_are_pushed(http: httpx.Client) -> None:
    """The stream says at once where it stands, and again when a phone rings."""
    with http.stream("GET", "/sandbox/events") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        events = (line for line in stream.iter_lines() if line.startswith("data:"))
        first = next(events)
        with httpx.Client(base_url=http.base_url, headers=http.headers, trust_env=False, verify=False) as other:
            reply(other, "hi")
        assert next(events) != first


@contextlib.contextmanager
def _all_streams_taken(http: httpx.Client) -> Iterator[httpx.Client]:
    """A client that holds all places at the stream of events."""
    limits = httpx.Limits(max_connections=64)
    with (
        httpx.Client(base_url=http.base_url, trust_env=False, verify=False, limits=limits) as many,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(MAX_STREAMS):
            stream = stack.enter_context(many.stream("GET", "/sandbox/events"))
            assert next(stream.iter_lines()) == "event: change"
        yield many


def test_streams_are_bounded(http: httpx.Client) -> None:
    """The thirty-third stream is answered that it should poll, and a place is free when one has gone."""
    with _all_streams_taken(http) as many:
        assert "busy" in many.get("/sandbox/events").text

    def free() -> bool:
        # A thread finds out that its client has gone when it next writes.
        reply(http, "hi")
        with http.stream("GET", "/sandbox/events") as stream:
            return next(stream.iter_lines()) == "event: change"

    eventually(free)


@pytest.mark.browser
def test_no_script_of_a_text_runs(http: httpx.Client, tmp_path: Path) -> None:
    """In a real browser a text full of markup is shown as text, its code highlighted, and nothing of it runs."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs: Chromium")
    text = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script> code 482913"
    long_code(http, text=text)
    eventually(lambda: inbox(http))
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--virtual-time-budget=3000",
        "--dump-dom",
    ]
    command = [browser, *flags, f"--user-data-dir={tmp_path}", f"{http.base_url}#{PERSON}"]
    # Virtual time stands still while a stream is open: with all places taken the page asks every second instead.
    with _all_streams_taken(http):
        dom = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False).stdout
    assert "<mark>482913</mark>" in dom
    assert "&lt;img src=x onerror=" in dom
    assert "<title>Phones" in dom


@pytest.mark.browser
def test_a_message_does_not_take_the_keyboard_away(http: httpx.Client, tmp_path: Path) -> None:
    """On a phone of 360 pixels: who is on a phone of the list, or on a code, stays there when a message arrives."""
    for number in (OTHER, PERSON):
        long_code(http, to=number, text="482913 is your code")
        eventually(lambda to=number: inbox(http, to))  # type: ignore[misc]
    with opened(tmp_path) as page:
        page.open(f"{str(http.base_url).rstrip('/')}/#{PERSON}", 360)

        def shown() -> int:
            count: int = page.see("document.querySelectorAll('#log article').length")
            return count

        eventually(lambda: shown() == 1)
        for place in (f"#phones [data-number='{OTHER}']", "#log .copy"):
            page.see(f'document.querySelector("{place}").focus()')
            before = shown()
            long_code(http, text="another text")
            eventually(lambda more=before: shown() > more)  # type: ignore[misc]
            assert page.see(f'document.activeElement === document.querySelector("{place}")'), place
        page.see("document.getElementById('skip').focus()")
        page.press("Enter")
        assert page.see("document.activeElement.id") == "log"
        assert page.see("document.documentElement.scrollWidth") == 360
