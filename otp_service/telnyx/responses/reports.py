"""What a message says of each recipient (delivery reports), and whether it is the message that was asked about."""

import re
from urllib.parse import urlsplit

import msgspec

from ...domain.delivery import DeliveryReport, Refused
from ...domain.numbering import identity
from .. import errors, json
from .costs import read_cost
from .messages import OutboundMessage, Recipient, TakenMessage, addressees, recipients

_DELIVERED = frozenset({"delivered", "read"})
_WEBHOOK_PATH = "/webhooks/telnyx/"
_DELIVERY_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)


def reports(value: object, occurred_ms: int, status: str | None = None) -> tuple[DeliveryReport, ...]:
    """What a message says of each of its recipients; empty if it lacks an id, a recipient or a status.

    `status` overrides the message's own. An error belongs to the recipient its JSON pointer names, else to
    all of them; a delivered message has none, whatever happened on the way.
    """
    members = json.mapping(value)
    message_id = json.identifier(members.get("id"))
    if message_id is None:
        return ()
    delivery_id = delivery_named_by(members.get("webhook_url"))
    found = []
    listed = addressees(members.get("to"))
    # The cost is that of the whole message: of a group nobody knows who caused how much of it.
    cost = read_cost(members.get("cost")) if len(listed) == 1 else None
    for index, addressee in enumerate(listed):
        recipient = Recipient.read(addressee)
        found_status = status or json.identifier(recipient.status if recipient else None)
        if recipient is None or found_status is None:
            continue
        error = None if found_status in _DELIVERED else _error_for(index, members.get("errors"))
        report = DeliveryReport(message_id, recipient.number, found_status, occurred_ms, error, delivery_id, cost)
        found.append(report)
    return tuple(found)


def _error_for(index: int, listed: object) -> Refused | None:
    for item in json.items(listed):
        pointer = json.string(json.mapping(json.mapping(item).get("source")).get("pointer")) or ""
        if pointer.startswith("/to/") and pointer.split("/")[2] != str(index):
            continue
        error = errors.delivery_error(item)
        if error is not None:
            return error
    return None


def is_about(message: OutboundMessage | TakenMessage, request: bytes) -> bool:
    """Whether the carrier's message is the one that this request's body asked for.

    It names a recipient, and none that was not asked for. Where both name a delivery by their webhook address, it is
    the same.
    """
    # Our own bytes: they need no reader that distrusts them.
    asked = json.mapping(msgspec.json.decode(request))
    if not _names_same_delivery(asked.get("webhook_url"), message.webhook_url):
        return False
    wanted = {one.number for one in recipients(asked.get("to"))}
    found = {one.number for one in message.to}
    # As a rule it is written in the same way, and nothing of it has to be read.
    return bool(found) and (found <= wanted or set(map(_person, found)) <= set(map(_person, wanted)))


def _names_same_delivery(asked: object, told: str | None) -> bool:
    """Whether two webhook addresses name the same delivery, or one of them none."""
    if told is None or asked == told:
        return True
    delivery_id, named = delivery_named_by(asked), delivery_named_by(told)
    return delivery_id is None or named is None or delivery_id == named


def _person(number: str) -> str:
    """Whose number it is, however it is written."""
    return identity("+" + re.sub(r"[^0-9A-Za-z]", "", number))


def delivery_named_by(webhook_url: object) -> str | None:
    """The delivery that a webhook address of ours names in its last path segment, or None for any other address."""
    url = json.string(webhook_url)
    if url is None:
        return None
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    name = path.rsplit("/", 1)[-1]
    return name if _WEBHOOK_PATH in path and _DELIVERY_ID.fullmatch(name) else None
