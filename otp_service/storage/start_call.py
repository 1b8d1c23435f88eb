"""The call of the script that starts a verification: its keys and arguments."""

from functools import cache
from typing import Any

from ..domain.ids import Reference
from ..domain.policy import MAX_CONSECUTIVE_WRONG, MAX_LIFETIME_MS
from ..domain.starting import StartCommand
from .arguments import route_text, rules_text, slots_text
from .guard_arguments import guard_arguments, guard_keys
from .pieces import pack_sealed
from .record_views import own_detail
from .schema import Keys
from .schema.encodings import flag

REFUSAL_GAP_MS = 1_000
"""Of the refusals of one kind to one number, one in this time goes on record."""


@cache
def _waits_text(waits_ms: tuple[int, ...]) -> str:
    """A ladder as the script reads it. A process has only those of its configuration."""
    return ",".join(map(str, waits_ms))


def start_keys(k: Keys, command: StartCommand, known: Reference | None, *, asks_guard: bool) -> dict[str, str]:
    """`known`: the latest verification of the number, as far as it is known. `asks_guard` as in `start_arguments`."""
    ref, nh, app = command.reference, command.reference.number_hash, command.app.name
    shard = k.shard(nh)
    named = {
        "number": k.number(nh),
        "optouts": k.optouts(nh),
        "sticky": k.sticky(nh),
        "start_refusals": k.start_refusals(nh, app),
        "outbox": k.outbox(shard),
        "audit": k.audit(shard),
        "timers": k.timers(shard),
        "record": k.record(ref),
        "secrets": k.secrets(ref),
        "run": k.run(shard),
        **guard_keys(k, command, asks_guard=asks_guard),
    }
    if known is not None:
        named["known_record"] = k.record(known)
        named["known_secrets"] = k.secrets(known)
    return named


def start_arguments(
    command: StartCommand, known: Reference | None, *, dry_run: bool, asks_guard: bool
) -> dict[str, Any]:
    """`asks_guard`: the script asks the budgets of the pumping guard by itself."""
    app = command.app
    return {
        "operation": command.operation_id,
        "operation_ttl_ms": command.operation_ttl_ms,
        "new_token": command.reference.token,
        "known_token": known.token if known else "",
        "app": app.name,
        "purpose": command.purpose,
        "channel": command.channel,
        "mask": command.mask,
        "number_hash": command.reference.number_hash,
        "context_hash": command.context_hash,
        "code_ttl_ms": app.code_ttl_ms,
        "lifetime_ms": MAX_LIFETIME_MS,
        "max_checks": app.max_checks,
        "resend_waits": _waits_text(app.resend_after_ms),
        "key_id": command.kid,
        "digest": bytes.fromhex(command.digest),
        "digest_by_number": bytes.fromhex(command.digest_by_number),
        "box": pack_sealed(command.box),
        "metadata": command.metadata,
        "locale": command.locale,
        "autofill": command.autofill,
        "route": route_text(command.route),
        "failover_route": route_text(command.failover_route),
        "healthy": ",".join(command.healthy),
        "wrong_rules": rules_text(app.wrong_codes_per_number),
        "wrong_everywhere_rules": rules_text(command.per_number.wrong_codes),
        "start_rules": rules_text(app.starts_per_number),
        "send_rules": rules_text(command.per_number.sends),
        "queue_max": command.queue_max,
        "outer_wait_ms": command.outer_wait_ms,
        "outer_limit": command.outer_limit,
        "outer_refusing": slots_text(command.outer_refusing),
        "tombstone_ms": command.tombstone_ms,
        "send_slots": slots_text(command.send_slots),
        "consecutive_max": MAX_CONSECUTIVE_WRONG,
        "detail": command.detail,
        "own_detail": own_detail(command),
        "subject": command.subject,
        "sent_within_ms": app.sent_within_ms,
        "refusal_gap_ms": REFUSAL_GAP_MS,
        "challenge": command.challenge,
        "test": flag(command.test),
        "notice": flag(command.notice),
        "dry_run": flag(dry_run),
        **guard_arguments(command, asks_guard=asks_guard),
    }
