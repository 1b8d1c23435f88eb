"""Posts events to webhook URLs: signed, retried, with failover, and with the failures of the chaos settings.

An event goes to a list of URLs in order. Each URL gets up to three attempts with growing waits between them, until
one responds 2xx within two seconds. `meta.attempt` counts the attempts at one URL. Each attempt has a new signature.
Redirects are not followed, and proxies of the environment are not used.

A bounded pool of daemon threads posts. Each thread has its own connection pool, because a pool that threads share
is slower. At most 100,000 events wait; further ones are dropped.
"""

from __future__ import annotations

import contextlib
import functools
import json
import queue
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from secrets import SystemRandom
from typing import Any
from urllib.parse import urlsplit

import httpx

from otp_service.sandbox.chaos_settings import WebhookChaos
from otp_service.sandbox.scheduler import Scheduler
from otp_service.sandbox.signing import WebhookSigner

ATTEMPTS_PER_URL = 3
BACKOFF_S = (0.3, 1.0)
TIMEOUT_S = 2.0
THREADS = 8
MAX_WAITING = 100_000
_MAX_RESPONSE_BYTES = 65_536

Data = Mapping[str, Any]
_random = SystemRandom()


@functools.cache
def _tls() -> ssl.SSLContext:
    """One context for all clients, because reading the machine's certificates is slow."""
    return httpx.create_ssl_context(trust_env=False)


def is_web_url(url: str) -> bool:
    """Whether `url` is an http or https URL with a host."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0 and url.isprintable()


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class _QueuedEvent:
    """An event for `urls[position]`. It is dropped if the sender was reset since (`generation`)."""

    data: Data
    urls: Sequence[str]
    generation: int
    forged: bool = False
    position: int = 0
    attempt: int = 1
    on_first_attempt: Callable[[], None] = _nothing


class WebhookSender:
    """The pool of threads. After `reset` only requests that were already sent can still arrive."""

    def __init__(self, signer: WebhookSigner, scheduler: Scheduler, *, threads: int = THREADS) -> None:
        self._signer = signer
        self._scheduler = scheduler
        self._queue: queue.Queue[_QueuedEvent | None] = queue.Queue(MAX_WAITING)
        self._max_threads = threads
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._generation = 0
        self._closed = False

    def post(
        self,
        data: Data,
        urls: Sequence[str],
        chaos: WebhookChaos,
        *,
        forgery: Data | None = None,
        on_first_attempt: Callable[[], None] = _nothing,
    ) -> None:
        """Post one event with the failures of `chaos`. `on_first_attempt` is also called if nothing is posted."""
        if not urls or _is_drawn(chaos.drop_rate):
            on_first_attempt()
            return
        queued = _QueuedEvent(data, urls, self._generation, on_first_attempt=on_first_attempt)
        if forgery is not None and _is_drawn(chaos.forge_rate):
            # The forged event has the id of the real one and is posted first. A service that stores ids before
            # it checks signatures would then ignore the real one.
            self._put(replace(queued, data=forgery, forged=True, on_first_attempt=_nothing))
        self._put(queued)
        for _ in range(chaos.duplicate - 1):
            self._put(replace(queued, on_first_attempt=_nothing))

    def reset(self) -> None:
        """Drop all waiting events and retries."""
        self._generation += 1
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()

    def close(self) -> None:
        """Drop all waiting events and end the threads."""
        self._closed = True
        self.reset()
        for _ in self._threads:
            self._queue.put_nowait(None)

    def _put(self, queued: _QueuedEvent) -> None:
        self._start_thread()
        try:
            self._queue.put_nowait(queued)
        except queue.Full:
            queued.on_first_attempt()

    def _start_thread(self) -> None:
        """Start one more thread, up to the limit."""
        if len(self._threads) >= self._max_threads or self._closed:
            return
        with self._lock:
            if len(self._threads) < self._max_threads:
                name = f"sandbox-webhooks-{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._run_thread, name=name, daemon=True))
                self._threads[-1].start()

    def _run_thread(self) -> None:
        # Common servers keep connections open for longer. A connection that the server is closing costs an attempt.
        limits = httpx.Limits(max_keepalive_connections=4, keepalive_expiry=2.0)
        # The transport without a client: no proxies, cookies, redirects or environment, and half the CPU time.
        with httpx.HTTPTransport(verify=_tls(), trust_env=False, limits=limits) as transport:
            while (queued := self._queue.get()) is not None:
                if queued.generation == self._generation:
                    self._attempt(transport, queued)

    def _attempt(self, transport: httpx.HTTPTransport, queued: _QueuedEvent) -> None:
        url = queued.urls[queued.position]
        event: dict[str, Any] = {"data": queued.data}
        if "event_type" in queued.data:  # the event of a clicked link has neither a type nor `meta`
            event["meta"] = {"attempt": queued.attempt, "delivered_to": url}
        body = json.dumps(event).encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "telnyx-webhooks",
            **self._signer.headers(body, forged=queued.forged),
        }
        accepted = _post(transport, url, body, headers)
        queued.on_first_attempt()
        if not accepted and not queued.forged:
            self._retry(replace(queued, on_first_attempt=_nothing))

    def _retry(self, queued: _QueuedEvent) -> None:
        if queued.attempt < ATTEMPTS_PER_URL:
            retry = replace(queued, attempt=queued.attempt + 1)
            self._scheduler.run_after(BACKOFF_S[queued.attempt - 1], lambda: self._put(retry))
        elif queued.position + 1 < len(queued.urls):
            self._put(replace(queued, position=queued.position + 1, attempt=1))


def _post(transport: httpx.HTTPTransport, url: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether the receiver responded with 2xx in time."""
    extensions = {"timeout": httpx.Timeout(TIMEOUT_S).as_dict()}
    try:
        request = httpx.Request("POST", url, content=body, headers=dict(headers), extensions=extensions)
        with contextlib.closing(transport.handle_request(request)) as response:
            # A response must be read for the connection to be used again.
            size = 0
            for chunk in response.iter_raw():
                size += len(chunk)
                if size > _MAX_RESPONSE_BYTES:
                    break
            return response.is_success
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError):
        return False


def _is_drawn(rate: float) -> bool:
    return rate > 0 and (rate >= 1 or _random.random() < rate)
