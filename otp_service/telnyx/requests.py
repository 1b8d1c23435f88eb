"""What goes to the carrier: requests as exact bytes.

A send is serialised once. The same bytes can be stored and sent again, which the carrier's idempotency demands to
the byte. What is stored says where it goes, too: the path is part of the carrier's idempotency record.

No repr here shows a text, a code, or the number of a person.

What comes back is read by `responses`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

Json = Mapping[str, Any]

GENERIC = "/messages"
LONG_CODE = "/messages/long_code"
SHORT_CODE = "/messages/short_code"
NUMBER_POOL = "/messages/number_pool"
WHATSAPP = "/messages/whatsapp"
GROUP_MMS = "/messages/group_mms"
SCHEDULE = "/messages/schedule"

# Where the carrier declares that it honours an Idempotency-Key. Not for scheduling.
KEYED_PATHS = frozenset({GENERIC, LONG_CODE, SHORT_CODE, NUMBER_POOL, WHATSAPP, GROUP_MMS})
_SEND_PATHS = {
    "generic": GENERIC,
    "long_code": LONG_CODE,
    "short_code": SHORT_CODE,
    "number_pool": NUMBER_POOL,
    "alphanumeric": GENERIC,
    "whatsapp": WHATSAPP,
}
KINDS = frozenset(_SEND_PATHS)

_GROUP_LIMIT = 8


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One POST that sends something: `path` below the base URL and the exact `body`. Its repr hides the body."""

    path: str
    body: bytes

    def __repr__(self) -> str:
        return f"SendRequest(path={self.path!r}, body=<{len(self.body)} bytes>)"


@dataclass(frozen=True, slots=True)
class WhatsAppTemplate:
    """An approved authentication template and the code to put into it (at most 15 characters).

    `callback_data` comes back in the reports; it must not hold the code.
    """

    name: str
    language: str
    code: str = field(repr=False)
    callback_data: str | None = None


@dataclass(frozen=True, slots=True)
class WhatsAppText:
    """The text as it is, without a template: Meta lets it through within 24 hours of the person's last message."""


def build_send(
    kind: str,
    *,
    to: str,
    text: str,
    sender: str | None,
    messaging_profile_id: str | None,
    webhook_url: str | None,
    whatsapp: WhatsAppTemplate | WhatsAppText | None = None,
) -> SendRequest:
    """Build the one request that brings `text` (for WhatsApp: the template's code) to `to` by a sender of `kind`.

    `kind` is one of KINDS; an alphanumeric sender goes through the generic operation. `sender` is our number,
    short code or name and `to` E.164. Members that the operation does not know are left out, so the bytes depend
    on nothing else. Raises ValueError if the kind is unknown or lacks what it needs; the sentence names no number.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of sender; the kinds are {', '.join(sorted(KINDS))}.")
    if kind in {"long_code", "short_code", "alphanumeric", "whatsapp"} and not sender:
        raise ValueError(f"A sender of kind {kind} needs a number or name to send from.")
    if kind in {"number_pool", "alphanumeric"} and not messaging_profile_id:
        raise ValueError(f"A sender of kind {kind} needs a messaging profile.")
    body: dict[str, Any] = {"to": to}
    if kind != "number_pool":
        body["from"] = sender
    if kind not in {"long_code", "short_code"}:
        body["messaging_profile_id"] = messaging_profile_id
    if kind == "whatsapp":
        if whatsapp is None:
            # Free text on purpose only: a code must never go out so by a forgotten template.
            raise ValueError("A WhatsApp message needs a template.")
        body["type"] = "WHATSAPP"
        if isinstance(whatsapp, WhatsAppTemplate):
            body["whatsapp_message"] = _authentication(whatsapp)
        else:
            body["whatsapp_message"] = {"type": "text", "text": {"body": text}}
    else:
        body["text"] = text
    body["webhook_url"] = webhook_url
    return _request(_SEND_PATHS[kind], body)


def build_group_mms(
    *,
    sender: str,
    to: Sequence[str],
    text: str,
    media_urls: Sequence[str] = (),
    subject: str | None = None,
    webhook_url: str | None = None,
) -> SendRequest:
    """Build one message to a group of two to eight people, who see each other (US and Canada only)."""
    if not 1 <= len(to) <= _GROUP_LIMIT:
        raise ValueError(f"A group message goes to 1 to {_GROUP_LIMIT} recipients.")
    body = {
        "from": sender,
        "to": list(to),
        "text": text,
        "media_urls": list(media_urls) or None,
        "subject": subject,
        "webhook_url": webhook_url,
    }
    return _request(GROUP_MMS, body)


def build_schedule(
    *,
    to: str,
    text: str,
    send_at: datetime,
    sender: str | None = None,
    messaging_profile_id: str | None = None,
    webhook_url: str | None = None,
) -> SendRequest:
    """Build a message for later: `send_at` (with a zone) lies 5 minutes to 5 days ahead, or the carrier refuses."""
    if not sender and not messaging_profile_id:
        raise ValueError("A scheduled message needs a sender or a messaging profile.")
    body = {
        "to": to,
        "from": sender,
        "messaging_profile_id": messaging_profile_id,
        "text": text,
        "send_at": instant(send_at),
        "webhook_url": webhook_url,
    }
    return _request(SCHEDULE, body)


def instant(moment: datetime) -> str:
    """The carrier's spelling of a moment, RFC 3339 in UTC. ValueError without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("A time for the carrier needs a time zone.")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _request(path: str, members: Json) -> SendRequest:
    return SendRequest(path, encode(members))


def encode(members: Json) -> bytes:
    """Serialise, leaving out members that are None: the carrier takes null for a value in places."""
    return msgspec.json.encode({name: value for name, value in members.items() if value is not None})


def _authentication(template: WhatsAppTemplate) -> Json:
    """The code stands twice: in the text and behind the copy button, which the carrier addresses as url, index 0."""
    if not 1 <= len(template.code) <= 15:
        raise ValueError("A WhatsApp authentication code has 1 to 15 characters.")
    parameters = [{"type": "text", "text": template.code}]
    message: dict[str, Any] = {
        "type": "template",
        "template": {
            "name": template.name,
            "language": {"policy": "deterministic", "code": template.language},
            "components": [
                {"type": "body", "parameters": parameters},
                {"type": "button", "sub_type": "url", "index": 0, "parameters": parameters},
            ],
        },
    }
    if template.callback_data is not None:
        message["biz_opaque_callback_data"] = template.callback_data
    return message
