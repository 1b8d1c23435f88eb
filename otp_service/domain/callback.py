"""One callback: an event of a verification on its way to the app, where it may go, and when it is tried again.

An address is judged twice: as it is written, when the configuration is read, and as the name resolves, at every
connection. The first catches mistakes, only the second stops a name that points somewhere else than it did. Both use
`is_public`, so that nothing can be public at one time and private at the other.

Not here: the signature and the network (`receivers`), the queue (`storage.callbacks`).
"""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .audit import Event, EventType
from .backoff import Backoff

EVENTS = frozenset(
    {
        EventType.STARTED,
        EventType.RESENT,
        EventType.APPROVED,
        EventType.EXPIRED,
        EventType.EXHAUSTED,
        EventType.CANCELED,
        EventType.DENIED,
        EventType.CHECK_FAILED,
        EventType.SENT,
        EventType.DELIVERED,
        EventType.FAILED,
        EventType.UNCONFIRMED,
        EventType.UNKNOWN,
        EventType.SUPPRESSED,
        EventType.DELIVERY_EXPIRED,
        EventType.FELL_BACK,
    }
)
"""The events that apps get callbacks for. The timeline of the next one has the steps between (queued, sending, …)."""

MAX_BODY = 20_000
"""Bytes. Standard Webhooks asks for less than 20 kB; a body that would be longer leaves out the timeline."""

RETRIES = Backoff((5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 21_600_000), jitter=(1.0, 1.2))
"""The waits before the 2nd to the 8th try, some nine hours in all. Then a callback is a dead letter."""

MAX_RETRY_AFTER_MS = 3_600_000
"""A receiver may ask for so much patience, and no more."""

GONE_REST_MS = 3_600_000
"""After a 410 nothing is sent to the endpoint for so long."""

PORTS = (443, 8443)
"""Where a public receiver may listen: what listens elsewhere may be no web server at all."""

_MAX_URL = 2_048
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{4,253}}$)({_LABEL}\.)+{_LABEL}", re.ASCII | re.IGNORECASE)
_NUMERIC_END = re.compile(r"(^|\.)([0-9]+|0x[0-9a-f]*)\.?$", re.ASCII | re.IGNORECASE)
_PRIVATE_ENDS = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
_UNICAST = ipaddress.ip_network("2000::/3")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an app receives callbacks.

    `secrets`: each of them signs. `allow_private` lets addresses of a closed network through.
    """

    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    allow_private: bool = False

    @property
    def host(self) -> str:
        """For logs and people: the path may hold a token, the host does not."""
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback as it is queued. `id` and `body` stay the same at every try; `attempt` counts from 1."""

    id: str
    app: str
    type: str
    verification: str
    body: str = field(repr=False)
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A callback in the queue or among the dead letters, for people to look at.

    `at_ms` is when it is tried next, or when it died; `reason` why the last try failed, empty if there was none.
    """

    id: str
    app: str
    type: str
    verification: str
    dead: bool
    tries: int
    queued_ms: int
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one try: the receiver's status, 0 if there was none, and then the reason.

    `retry_after_s` is what the receiver asked for, if it did.
    """

    status: int
    reason: str = ""
    retry_after_s: float | None = None

    @property
    def accepted(self) -> bool:
        """Only 2xx is success: a redirect, too, is a refusal."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after `wait_ms`; for `rest_ms` send nothing at all to the endpoint (0: others may go)."""

    wait_ms: int
    rest_ms: int = 0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further try: a dead letter. For `rest_ms` nothing is sent to the endpoint."""

    rest_ms: int = 0


def callback_id(event: Event) -> str:
    """The `webhook-id`: of the event, so it is the same however often the event is read or the callback sent."""
    return f"evt_{event.seq}"


def judge(answer: Answer, attempt: int, chance: float) -> Again | GiveUp | None:
    """What to do after the n-th try; None if it arrived. `chance` is 0 up to 1."""
    if answer.accepted:
        return None
    if answer.status == 410:
        return GiveUp(GONE_REST_MS)
    asked_ms = _asked_ms(answer)
    if attempt > len(RETRIES.steps_ms):
        return GiveUp(asked_ms)
    return Again(max(RETRIES.wait_ms(attempt, chance), asked_ms), asked_ms)


def _asked_ms(answer: Answer) -> int:
    if answer.status not in (429, 502, 503, 504) or answer.retry_after_s is None:
        return 0
    return min(MAX_RETRY_AFTER_MS, max(0, int(answer.retry_after_s * 1_000)))


# What Python's tables call global in some of its versions, and what answers inside a cloud without being a neighbour.
_SPECIAL = [
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.31.196.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
        "3fff::/20",
        "2620:4f:8000::/48",
    )
]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet.

    Addresses that only carry another one (mapped, translated, 6to4) are not: what they lead to cannot be judged here.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.version == 6 and (ip not in _UNICAST or ip in _SIX_TO_FOUR):
        return False
    if any(ip in network for network in _SPECIAL if network.version == ip.version):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def objection(url: str, *, allow_private: bool) -> str | None:
    """Why nothing is to be sent to this URL, as the end of a sentence; None if it may be tried.

    With `allow_private` http, every port and every host are allowed; what is no plain URL never is.
    """
    if not re.fullmatch(r"[!-~]+", url) or "\\" in url or len(url) > _MAX_URL:
        return f"must be a URL of at most {_MAX_URL} printable ASCII characters"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("https", "http") or not host or port == 0:
        return "must be https://host/path"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or password"
    if "#" in url:
        return "must not have a fragment"
    if allow_private:
        return None
    if parts.scheme == "http":
        return "must be https (http only with callback_allow_private)"
    if port is not None and port not in PORTS:
        return f"must be on port {' or '.join(map(str, PORTS))} (others only with callback_allow_private)"
    return _host_objection(host)


def _host_objection(host: str) -> str | None:
    private = "leads into a private network (only with callback_allow_private)"
    if ":" in host:
        return None if is_public(host) else private
    if _NUMERIC_END.search(host):
        # 127.1, 0x7f000001 and 017700000001 are addresses to some and names to others: one spelling only.
        return None if is_public(host) else "must name its host, or a public IPv4 address in four decimal numbers"
    if "." not in host or host.lower().endswith(_PRIVATE_ENDS):
        return private
    return None if _NAME.fullmatch(host) else "has a host name that cannot exist"
