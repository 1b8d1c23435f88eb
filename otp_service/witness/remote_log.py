"""The log as a witness reaches it, over HTTP: the API with a key, or the listener of `--metrics-port` without one."""

from typing import Any

import httpx

from ..domain.errors import ServiceError
from ..transparency.notes import NOTE_MAX
from ..transparency.tiles import MAX_ENTRY, tile_path
from ..transparency.tree import TILE_WIDTH

TIMEOUT_S = 10.0
_PREFIX = "/audit/log"
_MOST = 8 * NOTE_MAX
_MOST_ENTRIES = TILE_WIDTH * (2 + MAX_ENTRY)


class LogUnreachable(ServiceError):
    """The log did not answer, or not as a log does. The next round may succeed."""


class RemoteLog:
    """Reads a log. `url` is that of the service; `api_key` has the scope `audit:all`, "" for none."""

    def __init__(self, url: str, api_key: str, client: httpx.Client | None = None) -> None:
        self._base = url.rstrip("/").removesuffix(_PREFIX) + _PREFIX
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = client or httpx.Client(timeout=TIMEOUT_S, trust_env=False)
        self._client.headers.update(headers)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def checkpoint(self) -> str | None:
        """The newest checkpoint; None while nothing was signed. Raises LogUnreachable."""
        response = self._get("/checkpoint")
        return None if response.status_code == 404 else self._good(response).text

    def keys(self) -> tuple[str | None, list[str]]:
        """The first key, which nothing vouches for, and the last checkpoints of old keys. Raises LogUnreachable."""
        told: Any = self._json(self._good(self._get("/keys")))
        first, rotations = told.get("first_key"), told.get("rotations")
        if not (first is None or isinstance(first, str)) or not _are_texts(rotations):
            raise LogUnreachable("The log tells its keys in another form than expected.")
        return first, rotations

    def tile(self, level: int, number: int, width: int) -> bytes:
        """A tile; the full one where the part is not there any more. Raises LogUnreachable."""
        return self._tile(str(level), number, width, _MOST)[: width * 32]

    def entries(self, number: int, width: int) -> bytes:
        """A tile of records, with more of them where it has grown. Raises LogUnreachable."""
        return self._tile("entries", number, width, _MOST_ENTRIES)

    def _tile(self, kind: str, number: int, width: int, most: int) -> bytes:
        response = self._get(f"/tile/{kind}/{tile_path(number, width)}", most)
        if response.status_code == 404:
            response = self._get(f"/tile/{kind}/{tile_path(number)}", most)
        return self._good(response).content

    def hand_in(self, key: str, note: str) -> bool:
        """Give the log a cosigned checkpoint; whether it took it. Raises LogUnreachable."""
        response = self._send("POST", "/cosignatures", {"key": key, "checkpoint": note})
        return response.status_code == 200

    def _get(self, path: str, most: int = _MOST) -> httpx.Response:
        return self._send("GET", path, None, most)

    def _send(self, method: str, path: str, body: object, most: int = _MOST) -> httpx.Response:
        try:
            response = self._client.request(method, self._base + path, json=body)
        except httpx.HTTPError as error:
            raise LogUnreachable(f"The log does not answer: {type(error).__name__}.") from error
        if len(response.content) > most:
            raise LogUnreachable("The log answers with more than any tile has.")
        return response

    def _good(self, response: httpx.Response) -> httpx.Response:
        if response.status_code != 200:
            raise LogUnreachable(f"The log answers {response.request.url.path} with {response.status_code}.")
        return response

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            told = response.json()
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise LogUnreachable("The log tells its keys in another form than expected.")
        return told


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(one, str) for one in values)
