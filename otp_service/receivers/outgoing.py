"""Posting something of the signed log to where the operator wants it: one request, under the rules of callbacks.

Nothing is redirected, taken from the environment or kept between two posts. One deadline covers everything.
"""

import ssl
import time
from dataclasses import dataclass

import httpcore
import httpx

from ..connections import Deadline
from ..domain.callback import Endpoint
from ..domain.errors import ServiceError
from . import network
from .network import Backend, ForbiddenAddress, Resolve

TOTAL_S = 10.0
CONNECT_S = 3.0
MOST_BYTES = 256 * 1024
"""Of an answer; a longer one is none that was asked for."""


class NotPosted(ServiceError):
    """There was no answer that can be read; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Posted:
    """Status and body of the answer."""

    status: int
    body: bytes


class Outgoing:
    """Posts to one address. Safe for many threads."""

    def __init__(
        self,
        url: str,
        *,
        allow_private: bool,
        resolve: Resolve = network.resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._endpoint = Endpoint(url, (), allow_private)
        self._resolve = resolve
        self._tls = tls

    def post(self, body: bytes, media: str) -> Posted:
        """Make one attempt. Raises NotPosted for whatever the receiver, its name server or the network does."""
        try:
            return self._post(body, media)
        except ForbiddenAddress as error:
            raise NotPosted(f"{self._endpoint.host} leads into a private network.") from error
        except httpcore.TimeoutException as error:
            raise NotPosted(f"{self._endpoint.host} gave no answer in time.") from error
        except httpcore.ConnectError as error:
            why = "has a bad certificate" if network.is_tls(error) else "cannot be reached"
            raise NotPosted(f"{self._endpoint.host} {why}.") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
            raise NotPosted(f"{self._endpoint.host} gave no answer ({type(error).__name__}).") from error

    def _post(self, body: bytes, media: str) -> Posted:
        # Made where it is needed: it costs a tenth of a second, and a program that posts nothing need not pay it.
        self._tls = self._tls or httpx.create_ssl_context(trust_env=False)
        backend = Backend(self._resolve, network.allowed(self._endpoint), Deadline(time.monotonic() + TOTAL_S))
        headers: dict[bytes | str, bytes | str] = {"Content-Type": media, "User-Agent": "otp-service"}
        limits = {"timeout": {"connect": CONNECT_S}}
        with (
            httpcore.ConnectionPool(
                ssl_context=self._tls, max_connections=1, retries=0, network_backend=backend
            ) as pool,
            pool.stream("POST", self._endpoint.url, headers=headers, content=body, extensions=limits) as response,
        ):
            return Posted(response.status, self._body(response))

    def _body(self, response: httpcore.Response) -> bytes:
        body = bytearray()
        for piece in response.iter_stream():
            body += piece
            if len(body) > MOST_BYTES:
                raise NotPosted(f"{self._endpoint.host} answers with more than was asked for.")
        return bytes(body)
