"""The HTTP client of the callers. It records every request to the service with its response."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from .evidence import Call

_LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=60, keepalive_expiry=2.0)
_PATHS = {"start": "/verify/start", "check": "/verify/check", "redeem": "/receipts/redeem"}
_KEPT = ("verification_id", "expires_at", "deliveries", "approved_at", "receipt", "checks_left", "redeemed_at")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The URLs of the API processes by name, the URL of the sandbox, and the API key of the callers."""

    apis: Mapping[str, str]
    sandbox: str
    key: str


class ApiClient:
    """Calls the service and reads the phones. `calls` is the record for the judge."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self.calls: list[Call] = []
        timeout = httpx.Timeout(5.0, connect=1.0, pool=5.0)
        self._client = httpx.AsyncClient(timeout=timeout, limits=_LIMITS, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def call(
        self,
        kind: str,
        number: str,
        body: Mapping[str, Any] | None,
        api: str,
        *,
        verification_id: str = "",
        key: str = "",
    ) -> Call:
        """Send one request and record it. It never raises: without a response the `status` is None."""
        path = f"/verify/{verification_id}/cancel" if kind == "cancel" else _PATHS[kind]
        headers = {"Authorization": f"Bearer {self.endpoints.key}"} | ({"Idempotency-Key": key} if key else {})
        began = time.time()
        used, response = await self._post(path, body, headers, api)
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
            guess=str((body or {}).get("code", "")),
            replayed=response is not None and response.headers.get("Idempotent-Replayed") == "true",
            api=used,
        )
        self.calls.append(call)
        return call

    async def _post(
        self, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], api: str
    ) -> tuple[str, httpx.Response | None]:
        """The process that was used and its response. If `api` refuses the connection, another one is used."""
        used = api
        for used in (api, *(other for other in self.endpoints.apis if other != api)):
            try:
                return used, await self._client.post(self.endpoints.apis[used] + path, json=body, headers=dict(headers))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except httpx.HTTPError:
                break
        return used, None

    async def inbox(self, number: str) -> list[str]:
        """The texts on a phone, newest first; none if the sandbox does not respond."""
        try:
            response = await self._client.get(f"{self.endpoints.sandbox}/sandbox/phones/{number}/messages")
            return [str(message["text"]) for message in response.json()["messages"]]
        except (httpx.HTTPError, ValueError):
            return []


def _json_object(response: httpx.Response | None) -> Mapping[str, Any]:
    try:
        found = {} if response is None else response.json()
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}
