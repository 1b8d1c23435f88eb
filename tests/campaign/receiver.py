"""The app's endpoint for callbacks: it keeps whatever it is sent, and whether the app's secret signed it."""

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from .evidence import Callback


class Receiver:
    """An HTTP server on a loopback port. `received` is the record for the judge."""

    def __init__(self) -> None:
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self.received: list[Callback] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # its sender was killed: no callback has arrived
                outer.received.append(outer._read(body, {name.lower(): text for name, text in self.headers.items()}))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Receive nothing more."""
        self._server.shutdown()
        self._server.server_close()

    def _read(self, body: bytes, headers: dict[str, str]) -> Callback:
        content: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            content = json.loads(body)
        return Callback(
            id=headers.get("webhook-id", ""),
            type=str(content.get("type", "")),
            verification_id=str(content.get("data", {}).get("verification_id", "")),
            digest=hashlib.sha256(body).hexdigest(),
            received_at=time.time(),
            signed=self._is_signed(body, headers),
        )

    def _is_signed(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            Webhook(self.secret).verify(body, headers)
        except Exception:  # noqa: BLE001 - whatever the library objects to, it is not signed
            return False
        return True
