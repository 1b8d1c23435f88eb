"""The address that the carrier posts replies of persons to: it passes each on to an API process, and keeps the answer.

So the judge knows what the service took: a webhook that was refused may never come again, one that was taken may not
be lost.
"""

import contextlib
import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from .evidence import Taken

TIMEOUT_S = 5.0
NO_ANSWER = 502


class WebhookRelay:
    """An HTTP server on a loopback port. `taken`: the replies for which the API process answered with 2xx."""

    def __init__(self, api_url: str) -> None:
        self.taken: list[Taken] = []
        self._target = urlsplit(api_url).netloc
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                status = outer._pass_on(self.path, body, dict(self.headers.items()))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Pass nothing on any more."""
        self._server.shutdown()
        self._server.server_close()

    def _pass_on(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection(self._target, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            try:
                connection.request("POST", path, body, {**headers, "Host": self._target})
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException):
                return NO_ANSWER
        if 200 <= status < 300:
            self._keep(body, time.time())
        return status

    def _keep(self, body: bytes, at: float) -> None:
        with contextlib.suppress(ValueError, KeyError):
            payload = json.loads(body)["data"]["payload"]
            self.taken.append(Taken(payload["from"]["phone_number"], payload["text"], at))
