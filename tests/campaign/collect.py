"""Asking everybody at the end: the service over HTTP, the handsets and the carrier's journal, and the store's dump.

Whoever is asked may be slow on a busy machine, so every question is repeated a few times; a question that stays
unanswered fails the run rather than passing for an empty answer.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import httpx
import redis

from .callers import Place
from .evidence import TERMINAL, Call, Event, Message, Request, StoreFacts, body_of, code_in, moment

AT_ONCE = 8
TRIES = 8
POLL_S = 1.5


class Silent(Exception):
    """Somebody does not answer, with the sentence to print."""


class Collector:
    """Reads what is there; changes nothing."""

    def __init__(self, place: Place, carrier_key: str) -> None:
        self._place = place
        self._apis = sorted(place.apis.values())
        self._turn = 0
        self._service = {"Authorization": f"Bearer {place.key}"}
        self._carrier = {"Authorization": f"Bearer {carrier_key}"}
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=2.0)
        self._client = httpx.AsyncClient(timeout=30, limits=limits, trust_env=False)
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def settled(self, calls: Sequence[Call], load_ended: float, ttl_s: float, within_s: float) -> None:
        """Wait until every verification that callers know of has come to its end, at most code life + `within_s`."""
        told = {call.verification_id: moment(str(call.body["expires_at"])) for call in calls if _accepted(call)}
        last = max([load_ended + ttl_s, *told.values()])
        await asyncio.sleep(max(0.0, max(told.values(), default=load_ended) + 1.0 - time.time()))
        waiting = set(told)
        while waiting and time.time() <= last + within_s:
            shown = await self.verifications(waiting)
            waiting = {name for name, found in shown.items() if found is not None and not _over(found)}
            if waiting:
                await asyncio.sleep(POLL_S)

    async def verifications(self, names: Iterable[str]) -> dict[str, Mapping[str, Any] | None]:
        """GET /verify/{id} of each; None for one that is unknown."""

        async def one(name: str) -> Mapping[str, Any] | None:
            answer = await self._ask(f"/verify/{name}")
            return None if answer.status_code == 404 else _mapping(answer)

        return await _each(sorted(names), one)

    async def events(self) -> list[Event]:
        """The whole audit record."""
        found: list[Event] = []
        cursor = ""
        while True:
            page = _mapping(
                await self._ask("/audit/events", {"limit": "1000"} | ({"cursor": cursor} if cursor else {}))
            )
            found += [_event(entry) for entry in page["events"]]
            cursor = page["next_cursor"] or ""
            if not cursor:
                return found

    async def requests(self) -> list[Request]:
        """Every send that reached the carrier, from its journal."""
        listed = _mapping(await self._get(f"{self._place.sandbox}/sandbox/journal", {}))
        if listed.get("dropped"):
            raise Silent("the sandbox's journal is full: the run is too long for its memory")
        return [_request(entry) for entry in listed["requests"] if entry["method"] == "POST"]

    async def messages(self, numbers: Iterable[str], requests: Sequence[Request]) -> list[Message]:
        """Everything on the handsets, each with the delivery whose request made it."""
        keys: dict[str, set[str]] = {}
        for request in requests:
            keys.setdefault(request.number, set()).add(request.key)

        async def one(number: str) -> list[Message]:
            inbox = _mapping(await self._get(f"{self._place.sandbox}/sandbox/phones/{number}/messages", {}))
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
            ]

        return [message for found in (await _each(sorted(numbers), one)).values() for message in found]

    async def _delivery_of(self, message_id: str) -> str:
        """Which delivery made a message, where a number had several: the address its webhooks go to says so."""
        answer = await self._get(f"{self._place.sandbox}/v2/messages/{message_id}", self._carrier)
        return str(_mapping(answer)["data"]["webhook_url"]).rpartition("/")[2]

    async def _ask(self, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        self._turn += 1
        return await self._get(self._apis[self._turn % len(self._apis)] + path, self._service, query)

    async def _get(
        self, url: str, headers: Mapping[str, str], query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        said = ""
        for turn in range(TRIES):
            try:
                async with self._gate:
                    answer = await self._client.get(url, headers=dict(headers), params=query)
            except httpx.HTTPError as error:
                said = type(error).__name__
            else:
                if answer.status_code in (200, 404):
                    return answer
                said = str(answer.status_code)
            await asyncio.sleep(0.2 * (turn + 1))
        raise Silent(f"{httpx.URL(url).path}: no answer at the end of the run ({said})")


def names_of(calls: Sequence[Call], events: Sequence[Event], messages: Sequence[Message]) -> set[str]:
    """Every verification that anybody has heard of: those whose start got no answer are known by record or handset."""
    told = {call.verification_id for call in calls} | {event.verification_id for event in events}
    return (told | {f"vrf_{body_of(message.delivery_id)}" for message in messages}) - {"", "vrf_"}


def store_facts(client: redis.Redis) -> StoreFacts:
    """The store's dump, as far as it can be understood from outside: streams of work, of letters and of the record."""
    now_ms = time.time() * 1000
    counts = {"outbox": 0, "dead": 0, "timers": 0, "audit": 0}
    for key in client.scan_iter(count=1000):
        last = str(key).rpartition(":")[2]
        if last == "timers":
            overdue: Any = client.zcount(key, 0, now_ms - 5000)
            counts[last] += int(overdue)
        elif last in counts and client.type(key) == "stream":
            length: Any = client.xlen(key)
            counts[last] += int(length)
    return StoreFacts(counts["outbox"], counts["dead"], counts["timers"], counts["audit"])


async def _each(names: Sequence[str], one: Callable[[str], Awaitable[Any]]) -> dict[str, Any]:
    return dict(zip(names, await asyncio.gather(*(one(name) for name in names)), strict=True))


def _mapping(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    return found


def _accepted(call: Call) -> bool:
    return call.kind == "start" and call.good and "expires_at" in call.body


def _over(found: Mapping[str, Any]) -> bool:
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
