"""Everything the service asks of the carrier, on one transport. Safe for use by many threads.

The operations stand by subject: `sending`, `messages`, `optouts`, `numbers`; how one call is made is in `calls`.
"""

from typing import Self

import httpx

from . import BASE_URL
from .connection import Network
from .messages import Messages
from .numbers import Numbers
from .optouts import OptOuts
from .sending import Sending
from .transport import DEFAULT_TIMEOUTS, Timeouts, Transport


class TelnyxClient(Sending, Messages, OptOuts, Numbers):
    """Everything the service asks of the carrier. `close` it, or use it in a `with`.

    `api_key` is the bearer key, `base_url` ends in the version (`/v2`). `transport` replaces the network, e.g. an
    `httpx.WSGITransport` around a carrier in the same process; `network` opens connections in another way than in
    threads. Raises ValueError for a key or URL that cannot be.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = BASE_URL,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        transport: httpx.BaseTransport | None = None,
        network: Network | None = None,
    ) -> None:
        super().__init__(Transport(api_key, base_url, timeouts, transport, network))

    def __repr__(self) -> str:
        return f"TelnyxClient({self._transport!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of all threads; further calls raise RuntimeError."""
        self._transport.close()
