"""Collects the evidence at the end, from the service's API, the sandbox's control API and the store.

Requests are repeated, because a busy machine may be slow. A request without a response fails the run; otherwise it
would look like an empty result.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import httpx
import redis

from otp_service.storage.schema.encodings import AuditEvents
from otp_service.storage.schema.fields import AuditEntry

from .callback_rules import arrived, promised
from .client import Endpoints
from .evidence import TERMINAL, Call, Callback, Event, Message, Request, StoreFacts, code_in, moment, verification_part
from .stores import Store

AT_ONCE = 8
TRIES = 8
POLL_S = 1.5
LOOK_S = 0.2


class NoResponseError(Exception):
    """The service or the sandbox does not respond. The message is one sentence for the operator."""


class Collector:
    """Reads the final state and changes nothing."""

    def __init__(self, endpoints: Endpoints, carrier_key: str) -> None:
        self._endpoints = endpoints
        self._apis = sorted(endpoints.apis.values())
        self._requests = 0
        self._service = {"Authorization": f"Bearer {endpoints.key}"}
        self._carrier = {"Authorization": f"Bearer {carrier_key}"}
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=2.0)
        self._client = httpx.AsyncClient(timeout=30, limits=limits, trust_env=False)
        self._limit = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def settled(self, calls: Sequence[Call], load_ended: float, ttl_s: float, within_s: float) -> None:
        """Wait until every accepted verification has ended, at most the code lifetime `ttl_s` plus `within_s`."""
        expiries = {call.verification_id: moment(str(call.body["expires_at"])) for call in calls if _accepted(call)}
        last = max([load_ended + ttl_s, *expiries.values()])
        await asyncio.sleep(max(0.0, max(expiries.values(), default=load_ended) + 1.0 - time.time()))
        waiting = set(expiries)
        while waiting and time.time() <= last + within_s:
            shown = await self.verifications(waiting)
            waiting = {name for name, found in shown.items() if found is not None and not _has_ended(found)}
            if waiting:
                await asyncio.sleep(POLL_S)

    async def verifications(self, names: Iterable[str]) -> dict[str, Mapping[str, Any] | None]:
        """GET /verify/{id} of each; None for one that is unknown."""

        async def one(name: str) -> Mapping[str, Any] | None:
            response = await self._service_get(f"/verify/{name}")
            return None if response.status_code == 404 else _mapping(response)

        return await _each(sorted(names), one)

    async def callbacks(self, received: Sequence[Callback], quiet_s: float, within_s: float) -> list[Callback]:
        """What the receiver has when that is all and nothing more comes for `quiet_s`, or after `within_s`.

        A callback that failed is tried again after half a minute, so quiet alone is no end. Looks are counted, and not
        the time: while the whole machine stands still, nobody posts anything.
        """
        known, looks = -1, 0
        for _ in range(round(within_s / LOOK_S)):
            looks, known = (looks + 1 if len(received) == known else 0), len(received)
            if looks >= quiet_s / LOOK_S:
                if not promised(await self.events()) - arrived(received):
                    break
                looks = 0
            await asyncio.sleep(LOOK_S)
        return list(received)

    async def events(self) -> list[Event]:
        """The whole audit log."""
        found: list[Event] = []
        cursor = ""
        while True:
            page = _mapping(
                await self._service_get("/audit/events", {"limit": "1000"} | ({"cursor": cursor} if cursor else {}))
            )
            found += [_event(entry) for entry in page["events"]]
            cursor = page["next_cursor"] or ""
            if not cursor:
                return found

    async def requests(self) -> list[Request]:
        """Every request to send that reached the carrier."""
        listed = _mapping(await self._get(f"{self._endpoints.sandbox}/sandbox/journal", {}))
        if listed.get("dropped"):
            raise NoResponseError("the sandbox's request log is full: the run is too long")
        return [_request(entry) for entry in listed["requests"] if entry["method"] == "POST"]

    async def messages(self, numbers: Iterable[str], requests: Sequence[Request]) -> list[Message]:
        """Every message with a code on these phones, each with the delivery that made it."""
        keys: dict[str, set[str]] = {}
        for request in requests:
            keys.setdefault(request.number, set()).add(request.key)

        async def one(number: str) -> list[Message]:
            inbox = _mapping(await self._get(f"{self._endpoints.sandbox}/sandbox/phones/{number}/messages", {}))
            only = next(iter(keys[number])) if len(keys.get(number, ())) == 1 else None
            return [
                Message(
                    id=str(item["id"]),
                    number=number,
                    code=code_in(str(item["text"])),
                    received_at=moment(str(item["received_at"])),
                    delivery_id=only or await self._delivery_of(str(item["id"])),
                )
                for item in inbox["messages"]
                # The carrier's own replies to STOP and START have none.
                if code_in(str(item["text"]))
            ]

        return [message for found in (await _each(sorted(numbers), one)).values() for message in found]

    async def _delivery_of(self, message_id: str) -> str:
        """The delivery that made a message, from its webhook URL. Needed if a number had several deliveries."""
        response = await self._get(f"{self._endpoints.sandbox}/v2/messages/{message_id}", self._carrier)
        return str(_mapping(response)["data"]["webhook_url"]).rpartition("/")[2]

    async def _service_get(self, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        self._requests += 1
        return await self._get(self._apis[self._requests % len(self._apis)] + path, self._service, query)

    async def _get(
        self, url: str, headers: Mapping[str, str], query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        fault = ""
        for attempt in range(TRIES):
            try:
                async with self._limit:
                    response = await self._client.get(url, headers=dict(headers), params=query)
            except httpx.HTTPError as error:
                fault = type(error).__name__
            else:
                if response.status_code in (200, 404):
                    return response
                fault = str(response.status_code)
            await asyncio.sleep(0.2 * (attempt + 1))
        raise NoResponseError(f"{httpx.URL(url).path}: no response at the end of the run ({fault})")


def verification_ids(calls: Sequence[Call], events: Sequence[Event], messages: Sequence[Message]) -> set[str]:
    """All verifications. One whose start had no response is known from the audit log or from a message."""
    known = {call.verification_id for call in calls} | {event.verification_id for event in events}
    return (known | {f"vrf_{verification_part(message.delivery_id)}" for message in messages}) - {"", "vrf_"}


def store_facts(store: Store) -> StoreFacts:
    """Counts of the store's streams over all primaries, and of timers that are more than five seconds overdue."""
    counts = {"outbox": 0, "dead": 0, "timers": 0, "audit": 0}
    for name in store.primaries():
        with contextlib.closing(store.client(name)) as client:
            _count(client, counts)
    return StoreFacts(counts["outbox"], counts["dead"], counts["timers"], counts["audit"])


def _count(client: redis.Redis, counts: dict[str, int]) -> None:
    now_ms = time.time() * 1000
    for key in client.scan_iter(count=1000):
        last = str(key).rpartition(":")[2]
        if last == "timers":
            overdue: Any = client.zcount(key, 0, now_ms - 5000)
            counts[last] += int(overdue)
        elif last in counts and client.type(key) == "stream":
            counts[last] += _length(client, key, last)


def _length(client: redis.Redis, key: str, name: str) -> int:
    """How many entries a stream has; of the audit record, how many events its entries hold."""
    if name != "audit":
        length: Any = client.xlen(key)
        return int(length)
    entries: Any = client.xrange(key)
    return sum(str(fields[AuditEntry.EVENTS]).count(AuditEvents.separator) + 1 for _, fields in entries)


async def _each(names: Sequence[str], one: Callable[[str], Awaitable[Any]]) -> dict[str, Any]:
    return dict(zip(names, await asyncio.gather(*(one(name) for name in names)), strict=True))


def _mapping(response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = response.json()
    return found


def _accepted(call: Call) -> bool:
    return call.kind == "start" and call.good and "expires_at" in call.body


def _has_ended(found: Mapping[str, Any]) -> bool:
    ended = found["status"] != "pending"
    return ended and all(delivery["status"] in TERMINAL for delivery in found["deliveries"])


def _event(entry: Mapping[str, Any]) -> Event:
    return Event(
        seq=str(entry["seq"]),
        at=moment(str(entry["at"])),
        type=str(entry["type"]),
        verification_id=str(entry["verification_id"] or ""),
        delivery_id=str(entry["delivery_id"] or ""),
        detail=entry["detail"],
        to=str(entry.get("to") or ""),
    )


def _request(entry: Mapping[str, Any]) -> Request:
    headers = {str(name).lower(): str(value) for name, value in entry["headers"].items()}
    body = entry["body"] if isinstance(entry["body"], dict) else {}
    return Request(
        key=headers.get("idempotency-key", ""),
        number=str(body.get("to", "")),
        content=f"{entry['path']} {headers.get('content-length')} {json.dumps(entry['body'])}",
        status=entry["status"],
        received_at=moment(str(entry["received_at"])),
        answered_at=None if entry["answered_at"] is None else moment(str(entry["answered_at"])),
    )
