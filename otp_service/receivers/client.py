"""Posting one callback: the bytes as they are queued, signed for this moment, to an address that is allowed.

Guarantees: no exception of httpcore, of TLS or of the socket leaves this module; what happened is an `Answer`. Nothing
is redirected, retried, taken from the environment or kept between two posts (no cookies, no connections). Of the
answer the head is read and no body: its status decides.

Not here: what follows from an answer (`domain.callback.judge`).
"""

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpcore
import httpx

from ..connections import Deadline
from ..domain.callback import Answer, Callback, Endpoint
from . import network, signatures
from .network import Backend, ForbiddenAddress, Resolve


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect to one address, and for everything until the answer's head."""

    connect_s: float = 3.0
    total_s: float = 15.0


class Receivers:
    """The receivers of all apps. Safe for many threads; `endpoints` is by app, `now_ms` Unix milliseconds."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        now_ms: Callable[[], int],
        timeouts: Timeouts | None = None,
        resolve: Resolve = network.resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._secrets = {
            app: [signatures.parse(word) for word in endpoint.secrets] for app, endpoint in endpoints.items()
        }
        self._now_ms = now_ms
        self._timeouts = timeouts or Timeouts()
        self._resolve = resolve
        self._tls = tls or httpx.create_ssl_context(trust_env=False)

    def post(self, callback: Callback) -> Answer:
        """Make one attempt. Never raises for what a receiver, its name server or the network does."""
        endpoint = self._endpoints[callback.app]
        try:
            return self._post(endpoint, callback)
        except ForbiddenAddress:
            return Answer(0, "private address")
        except httpcore.TimeoutException as error:
            return Answer(0, "no answer in time" if not isinstance(error, httpcore.ConnectTimeout) else "no connection")
        except httpcore.ConnectError as error:
            return Answer(0, "bad certificate" if network.is_tls(error) else "no connection")
        except Exception as error:  # noqa: BLE001 - whatever a receiver sends must not end the thread that posts
            return Answer(0, f"no answer ({type(error).__name__})")

    def reachable(self, app: str) -> str | None:
        """What would stop a connection to the app's receiver before it is tried; None if nothing."""
        return network.unreachable(self._endpoints[app], self._resolve)

    def _post(self, endpoint: Endpoint, callback: Callback) -> Answer:
        body = callback.body.encode()
        now_s = self._now_ms() // 1000
        headers: dict[bytes | str, bytes | str] = {
            "Content-Type": "application/json",
            "User-Agent": "otp-service",
            "webhook-id": callback.id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": signatures.sign(self._secrets[callback.app], callback.id, now_s, body),
        }
        deadline = Deadline(time.monotonic() + self._timeouts.total_s)
        backend = Backend(self._resolve, network.allowed(endpoint), deadline)
        limits = {"connect": self._timeouts.connect_s}
        with (
            httpcore.ConnectionPool(
                ssl_context=self._tls, max_connections=1, retries=0, network_backend=backend
            ) as pool,
            pool.stream(
                "POST", endpoint.url, headers=headers, content=body, extensions={"timeout": limits}
            ) as response,
        ):
            return Answer(response.status, _reason(response.status), _retry_after_s(response.headers, now_s))


def _reason(status: int) -> str:
    return "" if 200 <= status < 300 else f"status {status}"


def _retry_after_s(headers: list[tuple[bytes, bytes]], now_s: int) -> float | None:
    text = (
        next((value for name, value in headers if name.lower() == b"retry-after"), b"")[:40].decode("latin-1").strip()
    )
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
