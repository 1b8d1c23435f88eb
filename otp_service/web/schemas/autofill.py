"""How a phone fills the code in by itself."""

import json
import re
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...domain.errors import InvalidRequest

_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.ASCII)
_ANDROID_HASH = re.compile(r"[A-Za-z0-9+/]{11}", re.ASCII)
_HASH_FORM = {"pattern": "^[A-Za-z0-9+/]{11}$"}
_HOST_FORM = {"format": "hostname"}


class Autofill(msgspec.Struct, forbid_unknown_fields=True):
    """How the phone fills the code in by itself: exactly one of the two."""

    web_origin: (
        Annotated[
            str, Meta(description="Host of the page, as in `@example.com #123456`.", extra_json_schema=_HOST_FORM)
        ]
        | UnsetType
    ) = UNSET
    android_hash: (
        Annotated[str, Meta(description="The app's 11-character hash.", extra_json_schema=_HASH_FORM)] | UnsetType
    ) = UNSET

    def require_form(self) -> None:
        """Raise InvalidRequest unless one of the two is given, in its form."""
        web, android = self.web_origin, self.android_hash
        if isinstance(web, str) == isinstance(android, str):
            detail = "exactly one of web_origin and android_hash: both want the last line"
            raise InvalidRequest("autofill takes exactly one of its members.", [("/autofill", detail)])
        if isinstance(android, str) and not _ANDROID_HASH.fullmatch(android):
            detail = "11 characters of A-Z a-z 0-9 + /"
            raise InvalidRequest("android_hash is no app's hash.", [("/autofill/android_hash", detail)])
        if isinstance(web, str) and not _HOST.fullmatch(web):
            raise InvalidRequest(
                "web_origin is no host name.", [("/autofill/web_origin", "a host such as example.com")]
            )

    def text(self) -> str:
        """The member that is given, as JSON."""
        named = {"web_origin": self.web_origin, "android_hash": self.android_hash}
        return json.dumps({name: value for name, value in named.items() if isinstance(value, str)})
