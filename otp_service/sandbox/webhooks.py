"""Posts events to whoever wants to know: signed, retried, with a failover, and badly if so told.

One event goes to a list of URLs in order: up to three attempts at each, with growing waits between, until one
answers 2xx within two seconds. `meta.attempt` counts the attempts at one URL. The bytes are signed anew for each
attempt. Redirects are not followed, proxies of the environment are not used.

A bounded pool of daemon threads does the posting, one connection pool each (a pool shared by many threads is
slower than many pools). At most 100,000 events wait; beyond that new ones are lost and counted in `lost`.
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

from otp_service.sandbox.chaos import WebhookChaos
from otp_service.sandbox.signing import WebhookSigner
from otp_service.sandbox.timeline import Timeline

ATTEMPTS_PER_URL = 3
BACKOFF_S = (0.3, 1.0)
TIMEOUT_S = 2.0
THREADS = 8
MAX_WAITING = 100_000
_MAX_ANSWER_BYTES = 65_536
_PATIENCE = {"timeout": httpx.Timeout(TIMEOUT_S).as_dict()}

Data = Mapping[str, Any]
_chance = SystemRandom()


@functools.cache
def _tls() -> ssl.SSLContext:
    """One for all clients: reading the machine's certificates takes longer than everything else here."""
    return httpx.create_ssl_context(trust_env=False)


def is_web_url(url: str) -> bool:
    """Whether `url` is something that can be posted to: http or https, with a host."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0 and url.isprintable()


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class _Job:
    data: Data
    urls: Sequence[str]
    generation: int
    forged: bool = False
    position: int = 0
    attempt: int = 1
    tried: Callable[[], None] = _nothing


class WebhookPoster:
    """The pool. `close` ends its threads; nothing is posted after a `reset` but what was already on the wire."""

    def __init__(self, signer: WebhookSigner, timeline: Timeline, *, threads: int = THREADS) -> None:
        self._signer = signer
        self._timeline = timeline
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING)
        self._size = threads
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._generation = 0
        self._closed = False
        self.lost = 0

    def post(
        self,
        data: Data,
        urls: Sequence[str],
        chaos: WebhookChaos,
        *,
        forgery: Data | None = None,
        tried: Callable[[], None] = _nothing,
    ) -> None:
        """Post one event as `chaos` has it; `tried` is called after its first attempt, or if there is none."""
        if not urls or _hits(chaos.drop_rate):
            tried()
            return
        job = _Job(data, urls, self._generation, tried=tried)
        if forgery is not None and _hits(chaos.forge_rate):
            # Before the true one: it carries the same id, and whoever remembers ids before checking
            # signatures would then throw the true one away.
            self._put(replace(job, data=forgery, forged=True, tried=_nothing))
        self._put(job)
        for _ in range(chaos.duplicate - 1):
            self._put(replace(job, tried=_nothing))

    def reset(self) -> None:
        """Drop all that is pending, retries included."""
        self._generation += 1
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()

    def close(self) -> None:
        """Drop all that is pending and let the threads end."""
        self._closed = True
        self.reset()
        for _ in self._threads:
            self._jobs.put_nowait(None)

    def _put(self, job: _Job) -> None:
        self._grow()
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.lost += 1
            job.tried()

    def _grow(self) -> None:
        """One more thread, as long as there are not enough of them."""
        if len(self._threads) >= self._size or self._closed:
            return
        with self._lock:
            if len(self._threads) < self._size:
                name = f"sandbox-webhooks-{len(self._threads)}"
                self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
                self._threads[-1].start()

    def _work(self) -> None:
        # Keep-alive for less than common servers grant: a connection they are closing costs an attempt.
        limits = httpx.Limits(max_keepalive_connections=4, keepalive_expiry=2.0)
        # The transport alone, without a client around it: no proxies, cookies, redirects or environment, half the work.
        with httpx.HTTPTransport(verify=_tls(), trust_env=False, limits=limits) as transport:
            while (job := self._jobs.get()) is not None:
                if job.generation == self._generation:
                    self._attempt(transport, job)

    def _attempt(self, transport: httpx.HTTPTransport, job: _Job) -> None:
        url = job.urls[job.position]
        told: dict[str, Any] = {"data": job.data}
        if "event_type" in job.data:  # a clicked link has neither type nor meta
            told["meta"] = {"attempt": job.attempt, "delivered_to": url}
        body = json.dumps(told).encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "telnyx-webhooks",
            **self._signer.headers(body, forged=job.forged),
        }
        taken = _post(transport, url, body, headers)
        job.tried()
        if not taken and not job.forged:
            self._again(replace(job, tried=_nothing))

    def _again(self, job: _Job) -> None:
        if job.attempt < ATTEMPTS_PER_URL:
            later = replace(job, attempt=job.attempt + 1)
            self._timeline.after(BACKOFF_S[job.attempt - 1], lambda: self._put(later))
        elif job.position + 1 < len(job.urls):
            self._put(replace(job, position=job.position + 1, attempt=1))


def _post(transport: httpx.HTTPTransport, url: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether the receiver took it."""
    try:
        request = httpx.Request("POST", url, content=body, headers=dict(headers), extensions=_PATIENCE)
        with contextlib.closing(transport.handle_request(request)) as answer:
            # Read small answers so that the connection can be used again; nobody looks at them.
            size = 0
            for chunk in answer.iter_raw():
                size += len(chunk)
                if size > _MAX_ANSWER_BYTES:
                    break
            return answer.is_success
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError):
        return False


def _hits(rate: float) -> bool:
    return rate > 0 and (rate >= 1 or _chance.random() < rate)
