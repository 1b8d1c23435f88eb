"""Asking the operators' own systems before a code is sent: kept connections, a deadline, a bound and a breaker.

A question is over when the hook's time is, whatever the other side does. In each process an app has so many threads for
its questions, and so many may wait for one; one too many is not asked, and after failures in a row the receiver is left
alone for a while. So a receiver that is slow or dead costs starts of its own app their answer, and nobody else
anything.

The rules about addresses and the signatures are those of callbacks. Nothing is redirected.
"""

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

import httpcore
import httpx

from ..domain.risk import RawAnswer, RiskAnswer, RiskHook, read_answer
from . import network, signatures
from .network import ForbiddenAddress, Resolve
from .risk_breaker import RiskBreaker
from .risk_connection import RiskConnections

T = TypeVar("T")

THREADS = 16
"""Questions of an app that are under way in a process."""

MOST = 128
"""Those, and those that wait for a thread. None waits for longer than the hook's time."""

BUSY, PAUSED, LATE = "busy", "paused", "late"
"""Words of failures, as metrics and events have them."""

Run = Callable[[Executor, Callable[[], RawAnswer]], RawAnswer]
"""Runs work that blocks: in a thread of the executor for who must not wait, or right here."""


def run_here(_: Executor, work: Callable[[], RawAnswer]) -> RawAnswer:
    """For threads, which may wait."""
    return work()


class _Receiver:
    """One app's receiver."""

    def __init__(self, app: str, hook: RiskHook, tls: ssl.SSLContext, resolve: Resolve) -> None:
        self.hook = hook
        self.secrets = [signatures.parse(word) for word in hook.endpoint.secrets]
        self.connections = RiskConnections(hook.endpoint, tls, resolve)
        self.breaker = RiskBreaker(time.monotonic)
        self.threads = ThreadPoolExecutor(THREADS, f"risk-{app}")
        self._lock = threading.Lock()
        self._under_way = 0

    def enter(self) -> bool:
        """Count a question; False if there are too many."""
        with self._lock:
            if self._under_way >= MOST:
                return False
            self._under_way += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._under_way -= 1


class RiskReceivers:
    """The receivers of all apps that have a hook. Safe for many threads; `now_ms` is Unix milliseconds."""

    def __init__(
        self,
        hooks: Mapping[str, RiskHook],
        *,
        now_ms: Callable[[], int],
        run: Run = run_here,
        resolve: Resolve = network.resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        # Made where it is needed: it costs a tenth of a second.
        tls = (tls or httpx.create_ssl_context(trust_env=False)) if hooks else None
        self._receivers = {app: _Receiver(app, hook, tls, resolve) for app, hook in hooks.items() if tls is not None}
        self._now_ms = now_ms
        self._run = run
        self._resolve = resolve

    def ask(self, app: str, question_id: str, body: bytes) -> RiskAnswer:
        """Ask the app's receiver. Never raises for what a receiver, its name server or the network does."""
        receiver = self._receivers[app]
        if not receiver.breaker.passes():
            return RiskAnswer(None, failure=PAUSED)
        if not receiver.enter():
            return RiskAnswer(None, failure=BUSY)
        ends_s = time.monotonic() + receiver.hook.timeout_ms / 1000
        try:
            raw = self._run(receiver.threads, lambda: self._post(receiver, question_id, body, ends_s))
        finally:
            receiver.leave()
        answer = read_answer(raw)
        begins = receiver.breaker.record(answered=answer.decision is not None)
        return RiskAnswer(answer.decision, answer.reason, answer.failure, is_news=begins)

    def close(self) -> None:
        """End the threads and close the connections, when nobody asks any more."""
        for receiver in self._receivers.values():
            receiver.threads.shutdown(wait=False)
            receiver.connections.close()

    def reachable(self, app: str) -> str | None:
        """What would stop a connection to the app's receiver before it is tried; None if nothing."""
        return network.unreachable(self._receivers[app].hook.endpoint, self._resolve)

    def _post(self, receiver: _Receiver, question_id: str, body: bytes, ends_s: float) -> RawAnswer:
        if time.monotonic() >= ends_s:
            return RawAnswer(failure=LATE)
        now_s = self._now_ms() // 1000
        headers: dict[bytes | str, bytes | str] = {
            "Content-Type": "application/json",
            "User-Agent": "otp-service",
            "webhook-id": question_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": signatures.sign(receiver.secrets, question_id, now_s, body),
        }
        try:
            return receiver.connections.post(headers, body, ends_s)
        except ForbiddenAddress:
            return RawAnswer(failure="private_address")
        except httpcore.TimeoutException:
            return RawAnswer(failure=LATE)
        except httpcore.ConnectError as error:
            return RawAnswer(failure="bad_certificate" if network.is_tls(error) else "no_connection")
        except Exception:  # noqa: BLE001 - whatever a receiver sends must not end a login
            return RawAnswer(failure="broken")
