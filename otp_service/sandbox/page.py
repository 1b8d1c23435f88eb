"""`GET /`: the phones page, and the two endpoints that it reads.

The page is one document without outside resources. Its script and style need the nonce of the response, and texts of
messages are inserted as text nodes. `/sandbox/phones` lists the 200 latest phones with their 200 latest messages.
`/sandbox/events` is a stream that reports changes; if it fails, the page polls every second. At most 32 streams are
open at once, because each holds a thread.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator

from flask import Blueprint, Response, render_template

from otp_service.sandbox import seeds
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.chaos_settings import DEFAULTS, OUTCOMES, SEND_MODES
from otp_service.sandbox.inbound import MAX_TEXT_CHARS
from otp_service.sandbox.responses import json_response

MAX_PHONES = 200
MAX_MESSAGES = 200
MAX_STREAMS = 32
_HEARTBEAT_S = 15.0
_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def blueprint(carrier: Carrier) -> Blueprint:
    """The page and the endpoints that it reads."""
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
            example_sender=seeds.TOLL_FREE,
            account_numbers=[n.phone_number for n in carrier.numbers.list(mobile=False) if n.profile_id],
            max_text_chars=MAX_TEXT_CHARS,
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
        return json_response(carrier.phones.overview(max_phones=MAX_PHONES, max_messages=MAX_MESSAGES))

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
            version = carrier.phones.wait_for_change(seen, _HEARTBEAT_S)
            yield _heartbeat_or_change(seen, version)
            seen = version
    finally:
        streams.release()


def _heartbeat_or_change(seen: int, version: int) -> bytes:
    # A write is the only way to notice that the client has gone, so a heartbeat is sent when nothing changes.
    return b": heartbeat\n\n" if version == seen else b'event: change\ndata: {"version": %d}\n\n' % version
