"""Requests and replies as WSGI and Flask have them."""

from collections.abc import Mapping
from typing import Any

from flask import Response

from ..domain.errors import InvalidRequest
from .http import Reply

COMPLETE = "otp_service.body_complete"
"""A server sets this in the environment of a request whose body it has received to its end."""

PATH_AS_SENT = "otp_service.path_as_sent"
"""A server sets this in the environment of a request: the path with its escapes, which PATH_INFO lacks."""

_NOT_AS_ANNOUNCED = "The body did not arrive as its headers say."


def headers_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """The request's headers, with lower-case names."""
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        value = environ.get(name)
        if value:
            headers[name.replace("_", "-").lower()] = value
    return headers


class Body:
    """A request's body, read on demand."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._stream = environ["wsgi.input"]
        self._length = environ.get("CONTENT_LENGTH") or ""
        self.unread = self._length != "0" if self._length else "HTTP_TRANSFER_ENCODING" in environ
        """Whether some of it may still be there."""
        self.complete = bool(environ.get(COMPLETE))
        """Whether the server has received all of it."""

    def read(self, most: int) -> bytes:
        """The first bytes, at most so many. Raises InvalidRequest if not all of what was announced arrives."""
        if not self.unread:
            return b""
        left = min(most, int(self._length)) if self._length else most
        parts = []
        while left > 0:
            part = self._part(left)
            if not part:
                self.unread = False
                break
            parts.append(part)
            left -= len(part)
        if self._length and left > 0:
            raise InvalidRequest(_NOT_AS_ANNOUNCED)
        data = b"".join(parts)
        if self._length and len(data) == int(self._length):
            self.unread = False
        return data

    def _part(self, most: int) -> bytes:
        try:
            part: bytes = self._stream.read(most)
        except Exception as error:  # each server has its own for chunks that are none and for a lost connection
            raise InvalidRequest(_NOT_AS_ANNOUNCED) from error
        return part


def peer_of(environ: dict[str, Any]) -> str:
    """The address of the connection itself, without a port."""
    address = str(environ.get("REMOTE_ADDR") or "")
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def response_of(answer: Reply, body: Body) -> Response:
    """The reply as Flask wants it. Closes the connection if the body was not read to its end."""
    response = Response(answer.body, status=answer.status)
    response.headers.remove("Content-Type")
    for name, value in answer.headers.items():
        response.headers[name] = value
    if body.unread and not body.complete:
        # The server drops such a connection. Without this header the client's next request on it would fail.
        response.headers["Connection"] = "close"
    return response
