"""The HTTP client of the callers. It records every request to the service with its response, and every reply."""

import base64
import contextlib
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from .evidence import Call, Reply, moment

_LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=60, keepalive_expiry=2.0)
_PATHS = {
    "start": "/verify/start",
    "check": "/verify/check",
    "foreign check": "/verify/check",
    "redeem": "/receipts/redeem",
    "factor enroll": "/factors/totp",
    "factor confirm": "/factors/totp/{factor_id}/confirm",
    "factor codes": "/factors/recovery-codes",
    "factor check": "/verify/check",
    "one factor check": "/factors/{factor_id}/check",
}
_NO_SIGNATURE = base64.b64encode(bytes(64)).decode()
_KEPT = (
    *("verification_id", "expires_at", "deliveries", "approved_at", "receipt", "checks_left", "redeemed_at"),
    *("factor_id", "kind", "secret", "codes", "codes_left"),
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The URLs of the API processes by name, the URL of the sandbox, and API keys: the callers', another app's."""

    apis: Mapping[str, str]
    sandbox: str
    key: str
    foreign_key: str = ""


class ApiClient:
    """Calls the service and uses the phones. `calls` and `replies` are the record for the judge."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self.calls: list[Call] = []
        self.replies: list[Reply] = []
        timeout = httpx.Timeout(5.0, connect=1.0, pool=5.0)
        self._client = httpx.AsyncClient(timeout=timeout, limits=_LIMITS, trust_env=False)
        self._probes = httpx.AsyncClient(timeout=timeout, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        await self._probes.aclose()

    async def call(
        self,
        kind: str,
        number: str,
        body: Mapping[str, Any] | None,
        api: str,
        *,
        verification_id: str = "",
        key: str = "",
        subject: str = "",
        factor_id: str = "",
    ) -> Call:
        """Send one request and record it. It never raises: without a response the `status` is None."""
        sent = dict(body or {})
        began = time.time()
        tried, response = await self._send(kind, verification_id, body, key, api, factor_id)
        status = None if response is None else response.status_code
        found = _json_object(response)
        call = Call(
            kind=kind,
            number=number,
            began=began,
            ended=time.time(),
            status=status,
            code=str(found.get("code", "")) if status is not None and status >= 400 else "",
            body={name: found[name] for name in _KEPT if name in found},
            verification_id=verification_id or str(found.get("verification_id", "")),
            guess=str(sent.get("code", "")),
            replayed=response is not None and response.headers.get("Idempotent-Replayed") == "true",
            api=tried[-1],
            to=str(sent.get("to", "")),
            by_number=kind == "check" and "verification_id" not in sent,
            context=sent.get("context", {}),
            subject=subject or str(sent.get("subject", "")),
            keyed=bool(key),
            factor_id=factor_id,
            tried=tried,
        )
        self.calls.append(call)
        return call

    async def forge(self, number: str, api: str) -> None:
        """Post a webhook that the carrier did not sign: the person's STOP."""
        began, status = time.time(), None
        headers = {"telnyx-timestamp": str(int(began)), "telnyx-signature-ed25519": _NO_SIGNATURE}
        with contextlib.suppress(httpx.HTTPError):
            url = f"{self.endpoints.apis[api]}/webhooks/telnyx"
            status = (await self._client.post(url, json=_forged_stop(number), headers=headers)).status_code
        self.calls.append(Call("forge", number, began, time.time(), status, api=api, tried=(api,)))

    async def probe(self, api: str) -> Call:
        """Ask a process whether it lives. It is no request of a caller."""
        began, status = time.time(), None
        with contextlib.suppress(httpx.HTTPError):
            status = (await self._probes.get(f"{self.endpoints.apis[api]}/healthz")).status_code
        return Call("health", "", began, time.time(), status, api=api, tried=(api,))

    async def _send(
        self, kind: str, verification_id: str, body: Mapping[str, Any] | None, key: str, api: str, factor_id: str
    ) -> tuple[Sequence[str], httpx.Response | None]:
        """The processes that were tried and the response. If one refuses the connection, another one is used."""
        secret = self.endpoints.foreign_key if kind.startswith("foreign") else self.endpoints.key
        headers = {"Authorization": f"Bearer {secret}"} | ({"Idempotency-Key": key} if key else {})
        method, path = ("GET", f"/verify/{verification_id}") if kind == "foreign read" else ("POST", _PATHS.get(kind))
        path = (path or f"/verify/{verification_id}/cancel").replace("{factor_id}", factor_id)
        tried: list[str] = []
        for used in (api, *(other for other in self.endpoints.apis if other != api)):
            tried.append(used)
            try:
                url = self.endpoints.apis[used] + path
                return tried, await self._client.request(method, url, json=body, headers=headers)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except httpx.HTTPError:
                break
        return tried, None

    async def reply(self, number: str, to: str, text: str) -> Reply:
        """The person writes to the sender of a message."""
        path = f"{self.endpoints.sandbox}/sandbox/phones/{number}/messages"
        response = await self._client.post(path, json={"to": to, "text": text}, timeout=20)
        response.raise_for_status()
        reply = Reply(number, text, moment(response.json()["received_at"]))
        self.replies.append(reply)
        return reply

    async def inbox(self, number: str) -> list[Mapping[str, str]]:
        """The messages on a phone, newest first; none if the sandbox does not respond."""
        try:
            response = await self._client.get(f"{self.endpoints.sandbox}/sandbox/phones/{number}/messages")
            found: list[Mapping[str, str]] = response.json()["messages"]
            return found
        except (httpx.HTTPError, ValueError):
            return []


def _forged_stop(number: str) -> Mapping[str, Any]:
    payload = {"direction": "inbound", "text": "STOP", "from": {"phone_number": number}, "to": []}
    event = {"event_type": "message.received", "id": str(uuid.uuid4()), "occurred_at": _now(), "payload": payload}
    return {"data": {"record_type": "event", **event}}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _json_object(response: httpx.Response | None) -> Mapping[str, Any]:
    try:
        found = {} if response is None else response.json()
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}
