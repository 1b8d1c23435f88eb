"""Forms that several request structs share: short texts, numbers, contexts.

`*_FORM` are for readers of the OpenAPI document. The domain's own rules judge the values and refuse with their codes.
"""

import ipaddress
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from ...domain import message_text
from ...domain.errors import InvalidRequest
from ...domain.factors import is_subject
from ...domain.phone import E164

Word = Annotated[str, Meta(min_length=1, max_length=32)]
_NAME_FORM = {"propertyNames": {"type": "string", "minLength": 1, "maxLength": 32}}
_Value = Annotated[str, Meta(extra_json_schema={"maxLength": 128})]
Context = Annotated[dict[str, _Value], Meta(max_length=8, extra_json_schema=_NAME_FORM)]
_PRINTABLE = "1 to 128 printable characters"
_SUBJECT_FORM = {"minLength": 1, "maxLength": 128}
_SUBJECT_WORDS = "The person by your own id: 1 to 128 printable characters. Kept only as a keyed hash."
SubjectText = Annotated[str, Meta(description=_SUBJECT_WORDS, extra_json_schema=_SUBJECT_FORM)]
_DEVICE_WORDS = "The person's device by your own id, for limits that count by `device`. Kept only as a keyed hash."
DeviceText = Annotated[str, Meta(description=_DEVICE_WORDS, extra_json_schema=_SUBJECT_FORM)]
_LIMIT_KEYS = (
    "Values that limits of the configuration count by (`custom`), each by a name of your own: up to 8 members of 1 to "
    "32 and 1 to 128 printable characters. Names that no limit counts by are ignored. Kept only as keyed hashes, and "
    "never shown."
)
_KeyValue = Annotated[str, Meta(extra_json_schema=_SUBJECT_FORM)]
LimitKeys = Annotated[dict[str, _KeyValue], Meta(max_length=8, description=_LIMIT_KEYS, extra_json_schema=_NAME_FORM)]
_ADDRESS_FORM = {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
_CLIENT_IP = "The end user's address; proxy headers are never believed."
AddressText = Annotated[str, Meta(description=_CLIENT_IP, extra_json_schema=_ADDRESS_FORM)]
E164_FORM = {"pattern": f"^{E164}$"}

IDEMPOTENCY_KEY_CHARACTERS, IDEMPOTENCY_KEY_MAX = "A-Za-z0-9_:.-", 255
IDEMPOTENCY_KEY = f"[{IDEMPOTENCY_KEY_CHARACTERS}]{{1,{IDEMPOTENCY_KEY_MAX}}}"
"""The form of the header, as a regular expression: ASCII."""
IDEMPOTENCY_KEY_FORM = f"1-{IDEMPOTENCY_KEY_MAX} characters of [{IDEMPOTENCY_KEY_CHARACTERS}]"


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """A body of a caller. Its repr shows none of it: numbers, codes and payments stand in there."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


def require_ascii(to: str) -> None:
    """Raise InvalidRequest for foreign digits: a malformed request. A number that cannot exist is another error."""
    if not to.isascii():
        raise InvalidRequest("to must be in ASCII.", [("/to", "E.164 in ASCII: a plus sign and the digits 0-9")])


def require_subject(subject: str) -> None:
    """Raise InvalidRequest unless it has the form of a subject."""
    if not is_subject(subject):
        raise InvalidRequest("subject does not have the form it must have.", [("/subject", _PRINTABLE)])


def require_context(context: Mapping[str, str]) -> None:
    """Raise InvalidRequest unless every member of the context is short and printable."""
    for key, value in context.items():
        if not (
            1 <= len(key) <= 32 and len(value) <= 128 and message_text.printable(key) and message_text.printable(value)
        ):
            detail = "keys of 1 to 32 and values of up to 128 printable characters"
            raise InvalidRequest("context does not have the form it must have.", [("/context", detail)])


def require_counted(device_id: str | None, limit_keys: Mapping[str, str]) -> None:
    """Raise InvalidRequest unless what limits count by has its form."""
    if device_id is not None and not is_subject(device_id):
        raise InvalidRequest("device_id does not have the form it must have.", [("/device_id", _PRINTABLE)])
    for name, value in limit_keys.items():
        if not (1 <= len(name) <= 32 and message_text.printable(name) and is_subject(value)):
            detail = f"names of 1 to 32 printable characters, values of {_PRINTABLE}"
            raise InvalidRequest("limit_keys does not have the form it must have.", [("/limit_keys", detail)])


def read_address(text: str) -> str:
    """An address in its usual spelling. Raises InvalidRequest."""
    try:
        if "%" in text or not text.isascii():
            raise ValueError
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise InvalidRequest("client_ip is no IP address.", [("/client_ip", "an IPv4 or IPv6 address")]) from error


def require_legible(context: Mapping[str, str]) -> None:
    """Raise InvalidRequest for a blank amount or payee: the person would confirm it unseen."""
    for name in message_text.CONFIRMED:
        if name in context and not message_text.legible(context[name]):
            detail = "a letter, digit or sign that a person can read"
            raise InvalidRequest(f"{name} stands in the message, and is blank.", [(f"/context/{name}", detail)])
