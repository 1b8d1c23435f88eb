"""The carrier's webhooks beside the records: opened for evidence, and compared with what the records commit to."""

from collections.abc import Callable

from sqlalchemy import Connection, select

from ..domain.errors import KeyUnknown, SealBroken
from ..domain.signed_webhook import SignedWebhook
from ..ledger.tables import RECORDS, WEBHOOKS

SECRET_MS = 600_000
"""A delivery report quotes the message, and so the code: for so long, a code's longest life, it is shown to nobody."""

Unseal = Callable[[str], bytes]


def webhook_of(connection: Connection, seq: int, unseal: Unseal, now_ms: int) -> SignedWebhook | None:
    """The webhook that caused a record; None if none did, if it was erased, or while its code may be good."""
    wanted = select(WEBHOOKS.c.sealed).join_from(WEBHOOKS, RECORDS, WEBHOOKS.c.seq == RECORDS.c.seq)
    old_enough = RECORDS.c.at_ms <= now_ms - SECRET_MS
    sealed = connection.execute(wanted.where(WEBHOOKS.c.seq == seq, old_enough)).scalar()
    try:
        return None if sealed is None else SignedWebhook.unpack(unseal(sealed))
    except (KeyUnknown, SealBroken, ValueError):
        return None


def webhook_fault(committed: str | None, sealed: str, unseal: Unseal) -> str | None:
    """What is wrong with a webhook that is there. `committed`: what stands in the record."""
    try:
        found = SignedWebhook.unpack(unseal(sealed)).commitment
    except KeyUnknown:
        return None
    except (SealBroken, ValueError, TypeError):
        return "the carrier's webhook cannot be read"
    return None if found == committed else "the carrier's webhook is not what was signed"
