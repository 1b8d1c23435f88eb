"""`GET /`: the phones in a browser, and what the page lives on.

One self-contained document: no outside resource, scripts and styles only under a nonce of this answer, every
text from outside inserted as a text node. `/sandbox/phones` is the whole picture (the latest 200 phones with
their latest 200 items); `/sandbox/events` is a stream that says when it has changed (the page asks every second
where that fails). At most 32 streams at once: each holds a thread.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator

from flask import Blueprint, Response, render_template

from otp_service.sandbox import seeds
from otp_service.sandbox.answers import json_answer
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.chaos import DEFAULTS, OUTCOMES, SEND_MODES
from otp_service.sandbox.inbound import MAX_TEXT_CHARS

MAX_PHONES = 200
MAX_ITEMS = 200
MAX_STREAMS = 32
_HEARTBEAT_S = 15.0
_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def blueprint(carrier: Carrier) -> Blueprint:
    """The page and its two sources."""
    routes = Blueprint("page", __name__)
    streams = threading.Semaphore(MAX_STREAMS)

    @routes.get("/")
    def phones_page() -> Response:
        nonce = secrets.token_urlsafe(16)
        document = render_template(
            "phones.html",
            nonce=nonce,
            modes=SEND_MODES,
            outcomes=OUTCOMES,
            defaults=dict(DEFAULTS),
            sender=seeds.TOLL_FREE,
            account=[n.phone_number for n in carrier.numbers.list(mobile=False) if n.profile_id],
            max_text=MAX_TEXT_CHARS,
        )
        return Response(
            document,
            content_type="text/html; charset=utf-8",
            headers={
                "Content-Security-Policy": _POLICY.format(nonce),
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
            },
        )

    @routes.get("/sandbox/phones")
    def overview() -> Response:
        return json_answer(carrier.handsets.overview(phones=MAX_PHONES, items=MAX_ITEMS))

    @routes.get("/sandbox/events")
    def events() -> Response:
        return Response(_events(carrier, streams), content_type="text/event-stream")

    return routes


def _events(carrier: Carrier, streams: threading.Semaphore) -> Iterator[bytes]:
    if not streams.acquire(blocking=False):
        yield b"event: busy\ndata: {}\n\n"
        return
    try:
        seen = -1
        while not carrier.closed:
            now = carrier.handsets.wait(seen, _HEARTBEAT_S)
            yield b": still here\n\n" if now == seen else b'event: change\ndata: {"version": %d}\n\n' % now
            seen = now
    finally:
        streams.release()
