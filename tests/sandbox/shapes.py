"""The shapes of the carrier's answers and events, as its public API description has them, and a checker.

A shape is a type, a tuple of alternatives, a `[shape]` for a list, a dict of fields for an object (a trailing `?`
marks a field that may be missing), a set for an enumeration, or a function that says yes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID


def uuid(value: Any) -> bool:
    """A UUID in its usual spelling."""
    return isinstance(value, str) and str(UUID(value)) == value


def moment(value: Any) -> bool:
    """A time with a zone, in RFC 3339."""
    return isinstance(value, str) and "T" in value and datetime.fromisoformat(value).tzinfo is not None


def optout_moment(value: Any) -> bool:
    """A time as the listing of opt-outs spells it."""
    return isinstance(value, str) and value[10] == " " and datetime.fromisoformat(value).tzinfo is not None


def check(value: Any, shape: Any, path: str = "$") -> None:
    """Fail, with the path, where `value` is not of `shape`."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), f"{path} is no object"
        for name, inner in shape.items():
            key = name.rstrip("?")
            if name.endswith("?") and key not in value:
                continue
            assert key in value, f"{path}.{key} is missing"
            check(value[key], inner, f"{path}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), f"{path} is no list"
        for position, item in enumerate(value):
            check(item, shape[0], f"{path}[{position}]")
    elif isinstance(shape, tuple):
        assert any(_fits(value, inner) for inner in shape), f"{path}: {value!r} fits no alternative"
    else:
        assert _fits(value, shape), f"{path}: {value!r} is not {shape!r}"


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, (dict, list)):
        try:
            check(value, shape)
        except AssertionError:
            return False
        return True
    if isinstance(shape, (set, frozenset)):
        return value in shape
    if shape is None:
        return value is None
    if shape is bool:
        return isinstance(value, bool)
    if isinstance(shape, type):
        return isinstance(value, shape) and not isinstance(value, bool)
    judge: Callable[[Any], bool] = shape
    return judge(value)


LINE = {"Wireline", "Wireless", "VoWiFi", "VoIP", "Pre-Paid Wireless", ""}
SENDER = {"phone_number": str, "carrier": str, "line_type": LINE}
MONEY = {"amount": str, "currency": str}
BREAKDOWN = {"carrier_fee": MONEY, "rate": MONEY}
STATUS = {
    "queued", "sending", "sent", "expired", "sending_failed", "delivery_unconfirmed", "delivered",
    "delivery_failed", "scheduled", "cancelled", "read",
}  # fmt: skip
ERROR = {
    "code": str,
    "title": str,
    "detail?": str,
    "meta?": dict,
    "source?": {"pointer?": str, "parameter?": str},
}
ERRORS = {"errors": [ERROR]}
MEDIA = {"url": str, "content_type": (str, None), "sha256": (str, None), "size": (int, None)}
OUTBOUND = {
    "record_type": {"message"},
    "direction": {"outbound"},
    "id": uuid,
    "type": {"SMS", "MMS"},
    "messaging_profile_id": str,
    "organization_id": uuid,
    "from": SENDER,
    "to": [SENDER | {"status": STATUS}],
    "cc": [SENDER | {"status": STATUS}],
    "text": str,
    "subject": (str, None),
    "media": [MEDIA],
    "webhook_url": (str, None),
    "webhook_failover_url": (str, None),
    "encoding": {"GSM-7", "UCS-2"},
    "parts": set(range(1, 11)),
    "num_chars": int,
    "smart_encoding_applied": bool,
    "wait_seconds": (float, int, None),
    "tags": [str],
    "cost": (MONEY, None),
    "cost_breakdown": (BREAKDOWN, None),
    "tcr_campaign_id": (str, None),
    "tcr_campaign_billable": bool,
    "tcr_campaign_registered": (str, None),
    "received_at": moment,
    "sent_at": (moment, None),
    "completed_at": (moment, None),
    "valid_until": (moment, None),
    "errors": [ERROR],
}
WHATSAPP = {
    "record_type": {"message"},
    "direction": {"outbound"},
    "id": uuid,
    "type": {"WHATSAPP"},
    "encoding": str,
    "messaging_profile_id": str,
    "organization_id": uuid,
    "from": SENDER,
    "to": [SENDER | {"status": STATUS}],
    "body": dict,
    "received_at": moment,
    "wait_seconds": (float, int, None),
}
INBOUND = {
    "record_type": {"message"},
    "direction": {"inbound"},
    "id": uuid,
    "type": {"SMS"},
    "messaging_profile_id": str,
    "organization_id": str,
    "from": SENDER,
    "to": [SENDER | {"status": {"webhook_delivered"}}],
    "cc": list,
    "text": str,
    "media": list,
    "encoding": str,
    "parts": set(range(1, 11)),
    "received_at": moment,
    "sent_at": None,
    "completed_at": None,
    "errors": [ERROR],
    "autoresponse_type": {"STOP", "START", "HELP", None},
    "webhook_url": (str, None),
    "webhook_failover_url": (str, None),
}
EVENT = {
    "data": {
        "event_type": {"message.sent", "message.finalized", "message.received"},
        "id": uuid,
        "occurred_at": moment,
        "record_type": {"event"},
        "payload": (OUTBOUND, INBOUND, WHATSAPP),
    },
    "meta": {"attempt": int, "delivered_to": str},
}
META = {"total_pages": int, "total_results": int, "page_number": int, "page_size": int}
OPTOUT = {
    "from": str,
    "to": str,
    "messaging_profile_id": (str, None),
    "keyword": (str, None),
    "created_at": optout_moment,
}
FEATURES = {"domestic_two_way": bool, "international_inbound": bool, "international_outbound": bool}
MOBILE = {
    "record_type": {"messaging_settings", "messaging_phone_number"},
    "id": str,
    "phone_number": str,
    "messaging_profile_id": (str, None),
    "country_code": {"US", "CA"},
    "type": {"longcode"},
    "messaging_product": str,
    "traffic_type": str,
    "features": {"sms": FEATURES},
    "tags": [str],
    "organization_id": str,
    "created_at": moment,
    "updated_at": moment,
}
NUMBER = MOBILE | {
    "type": {"longcode", "tollfree", "shortcode"},
    "eligible_messaging_products": [str],
    "features": {"sms": (FEATURES, None), "mms": (FEATURES, None)},
    "health": {
        "message_count": int,
        "inbound_outbound_ratio": float,
        "success_ratio": float,
        "spam_ratio": float,
    },
}
BULK = {
    "record_type": {"messaging_numbers_bulk_update"},
    "order_id": uuid,
    "success": [str],
    "pending": [str],
    "failed": [str],
}
