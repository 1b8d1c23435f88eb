"""What a caller gets for a start that the store refuses. Which limit refuses is decided in the store's script."""

from collections.abc import Callable

import msgspec

from ...domain import optout
from ...domain.errors import Refusal
from ...domain.limits import RESERVED
from ...domain.prices import SPEND_LIMIT
from ...domain.starting import StartRefused
from .refusals import seconds, too_many_wrong_codes

NO_ROOM = -1
"""A queue that takes nothing: what refuses before it, as the number's own limits do, still answers first."""


def refusal_of(refused: StartRefused, *, audit_is_full: bool = False) -> Refusal:
    """The refusal, with the wait in whole seconds where one helps. An unknown word is a rate limit.

    `audit_is_full`: the queue took nothing because too many events wait for the ledger.
    """
    refusal = _BY_CODE.get(refused.code, _rate_limited)(refused)
    if audit_is_full and refused.code == "queue_full":
        refusal = Refusal("audit_backlog", "Too many events wait to be put on record. Try again shortly.", 5)
    return msgspec.structs.replace(refusal, verification_id=refused.verification_id, limit=refused.limit)


def _opted_out(_: StartRefused) -> Refusal:
    detail = (
        "The person has opted out of messages from every sender that could reach them. Let them in another way; "
        "`resubscribe` says how they can opt in again."
    )
    return Refusal("opted_out", detail, fields={"resubscribe": optout.RESUBSCRIBE})


def _too_many_wrong_codes(refused: StartRefused) -> Refusal:
    return too_many_wrong_codes(refused.wait_ms)


def _context_conflict(_: StartRefused) -> Refusal:
    return Refusal("context_conflict", "A verification with another context is pending. Cancel it first.")


def _resend_too_soon(refused: StartRefused) -> Refusal:
    wait = seconds(refused.wait_ms)
    if refused.sends_left == 0:
        detail = f"The code was sent as often as it may be. Start a new verification in {wait} seconds."
        return Refusal("resend_too_soon", detail, wait, {"sends_left": 0, "resend_in": None})
    fields = {"sends_left": refused.sends_left, "resend_in": wait}
    detail = f"A code was sent to this number lately. Wait {wait} seconds before the next one is sent."
    return Refusal("resend_too_soon", detail, wait, fields)


def _queue_full(_: StartRefused) -> Refusal:
    return Refusal("queue_full", "Too many messages are waiting to be sent. Try again shortly.", 2)


def _rate_limited(refused: StartRefused) -> Refusal:
    wait = seconds(refused.wait_ms)
    if refused.limit in RESERVED and refused.limit.endswith("_per_number"):
        detail = f"This number has been sent as many codes as it may get for now. Try again in {wait} seconds."
        return Refusal("rate_limited", detail, wait)
    return Refusal("rate_limited", f"Too many requests. Try again in {wait} seconds.", wait)


def _guard_refused(refused: StartRefused) -> Refusal:
    if refused.limit == SPEND_LIMIT:
        detail = "What this app may spend on messages in a day (UTC) is spent. Let the person in another way."
        return Refusal("guard_refused", detail, fields={"reason": SPEND_LIMIT})
    detail = "Too many codes to numbers like this one were never used. Let the person in another way, or try later."
    return Refusal("guard_refused", detail, fields={"reason": refused.limit})


_BY_CODE: dict[str, Callable[[StartRefused], Refusal]] = {
    "guard_refused": _guard_refused,
    "opted_out": _opted_out,
    "too_many_wrong_codes": _too_many_wrong_codes,
    "context_conflict": _context_conflict,
    "resend_too_soon": _resend_too_soon,
    "queue_full": _queue_full,
    "rate_limited": _rate_limited,
}
