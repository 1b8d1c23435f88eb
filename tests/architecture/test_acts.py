"""Whatever changes something, or shows who somebody is, is an event: each command and each operation says which."""

import argparse
from collections.abc import Iterator, Mapping

from otp_service.cli.main import build_parser
from otp_service.domain.audit import EventType as Is

from .test_source_rules import routes

COMMANDS: Mapping[str, frozenset[Is] | str] = {
    "dev": frozenset({Is.SERVICE_STARTED, Is.CONFIGURATION_LOADED}),
    "serve": frozenset({Is.SERVICE_STARTED, Is.CONFIGURATION_LOADED}),
    "worker": frozenset({Is.SERVICE_STARTED, Is.CONFIGURATION_LOADED}),
    "sandbox": "it is no part of the service",
    "verify start": "it asks the API",
    "verify check": "it asks the API",
    "factors enroll": "it asks the API",
    "factors codes": "it asks the API",
    "factors list": "it asks the API",
    "factors confirm": "it asks the API",
    "factors remove": "it asks the API",
    "factors lift": frozenset({Is.SUBJECT_LIFTED}),
    "keys create": frozenset({Is.KEY_CREATED}),
    "keys list": "it shows nobody",
    "keys revoke": frozenset({Is.KEY_REVOKED}),
    "keys rotate": frozenset({Is.KEY_CREATED, Is.KEY_REVOKED}),
    "keyring create": "a new file that no store knows yet; the process that uses it first is on record",
    "keyring rotate": frozenset({Is.KEYRING_ROTATED}),
    "keyring accept": frozenset({Is.KEYRING_ACCEPTED}),
    "keyring status": "it shows nobody",
    "keyring reseal": frozenset({Is.KEYRING_RESEALED}),
    "keyring retire": frozenset({Is.KEYRING_RETIRED}),
    "callbacks list": "it shows ids alone",
    "callbacks replay": frozenset({Is.CALLBACKS_REPLAYED}),
    "callbacks keygen": "it writes nothing",
    "outbox dead": frozenset({Is.OUTBOX_REPLAYED}),
    "messages send": frozenset({Is.CARRIER_SENT}),
    "messages send-group": frozenset({Is.CARRIER_SENT}),
    "messages schedule": frozenset({Is.CARRIER_SENT}),
    "messages cancel": frozenset({Is.CARRIER_CHANGED}),
    "messages show": frozenset({Is.CARRIER_READ}),
    "optouts list": frozenset({Is.CARRIER_READ}),
    "optouts sync": frozenset({Is.OPTED_OUT, Is.OPTED_IN}),
    "numbers list": "our own numbers",
    "numbers show": "our own numbers",
    "numbers update": frozenset({Is.CARRIER_CHANGED}),
    "numbers assign": frozenset({Is.CARRIER_CHANGED}),
    "explain": frozenset({Is.PERSON_SHOWN}),
    "lift lock": frozenset({Is.LOCK_LIFTED}),
    "lift optout": frozenset({Is.OPTED_IN}),
    "guard simulate": "it works on made-up numbers",
    "guard replay": frozenset({Is.AUDIT_READ}),
    "guard status": "it shows nobody",
    "guard spend": "it shows nobody",
    "guard safelist add": frozenset({Is.SAFE_LISTED}),
    "guard safelist remove": frozenset({Is.SAFE_REMOVED}),
    "guard safelist list": "it shows names that hold keyed hashes",
    "replicas list": "it shows nobody",
    "replicas lower": frozenset({Is.REPLICAS_LOWERED}),
    "doctor": "it shows nobody",
    "audit tail": frozenset({Is.AUDIT_READ}),
    "audit export": frozenset({Is.AUDIT_EXPORTED}),
    "audit checkpoint": "what it shows is public",
    "audit verify": "it shows numbers of records alone",
    "audit erase": frozenset({Is.PERSON_ERASED}),
    "audit evidence": frozenset({Is.EVIDENCE_MADE}),
    "audit check": "it shows numbers of records alone",
    "audit explain": "it shows what one record decided, and not about whom",
    "ledger run": "it copies the record",
    "ledger backup": frozenset({Is.LEDGER_COPIED}),
    "ledger accept-restore": frozenset({Is.LEDGER_ACCEPTED}),
    "witness run": frozenset({Is.WITNESS_ADDED}),
    "witness remove": frozenset({Is.WITNESS_REMOVED}),
}
"""Command to what it leaves on record, or why it leaves nothing."""

PUBLIC, OWN, HEALTH = "what it shows is public", "it shows an app what it has done itself", "it shows nobody"

OPERATIONS: Mapping[str, frozenset[Is] | str] = {
    "POST /verify/start": frozenset({Is.STARTED, Is.RESENT, Is.REFUSED}),
    "POST /verify/check": frozenset({Is.APPROVED, Is.CHECK_FAILED, Is.EXHAUSTED}),
    "GET /verify/{verification_id}": OWN,
    "POST /verify/{verification_id}/cancel": frozenset({Is.CANCELED}),
    "POST /verify/{verification_id}/completed": frozenset({Is.COMPLETED}),
    "POST /receipts/redeem": frozenset({Is.REDEEMED}),
    "GET /.well-known/jwks.json": PUBLIC,
    "POST /factors/totp": frozenset({Is.FACTOR_ENROLLED}),
    "POST /factors/totp/{factor_id}/confirm": frozenset({Is.FACTOR_ADDED}),
    "GET /factors": OWN,
    "PATCH /factors/{factor_id}": frozenset({Is.FACTOR_RENAMED}),
    "DELETE /factors/{factor_id}": frozenset({Is.FACTOR_REMOVED}),
    "POST /factors/{factor_id}/check": frozenset({Is.FACTOR_APPROVED, Is.FACTOR_FAILED, Is.FACTOR_REPLAYED}),
    "POST /factors/recovery-codes": frozenset({Is.CODES_REPLACED}),
    "GET /optouts/{number}": "it shows the state of a number that the caller has, for its own app",
    "GET /people/{number}": frozenset({Is.PERSON_SHOWN}),
    "POST /people/{number}/lift": frozenset({Is.LOCK_LIFTED, Is.OPTED_IN}),
    "GET /audit/events": frozenset({Is.AUDIT_READ}),
    "GET /audit/log/checkpoint": PUBLIC,
    "GET /audit/log/keys": PUBLIC,
    "POST /audit/log/cosignatures": frozenset({Is.WITNESS_ADDED}),
    "GET /audit/log/tile/entries/{tile}": frozenset({Is.AUDIT_READ}),
    "GET /audit/log/tile/{level}/{tile}": PUBLIC,
    "GET /audit/events/{seq}/proof": frozenset({Is.AUDIT_READ}),
    "POST /webhooks/telnyx": frozenset({Is.DELIVERED, Is.REPORTED, Is.OPTED_OUT, Is.DENIED, Is.WEBHOOK_REJECTED}),
    "POST /webhooks/telnyx/{delivery_id}": frozenset({Is.DELIVERED, Is.REPORTED, Is.WEBHOOK_REJECTED}),
    "GET /healthz": HEALTH,
    "GET /readyz": HEALTH,
    "GET /metrics": HEALTH,
    "GET /openapi.json": PUBLIC,
    "GET /docs": PUBLIC,
}
"""Method and template to the same."""


def commands(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The commands of the command line, by their words."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield " ".join(path)
    for group in groups:
        for name, inner in group.choices.items():
            yield from commands(inner, (*path, name))


def test_each_command_says_what_it_leaves_on_record() -> None:
    """A new one has to say it, too: an event, or why there is none."""
    assert set(commands(build_parser())) == set(COMMANDS)


def test_each_operation_says_what_it_leaves_on_record() -> None:
    """The same for the API."""
    assert {f"{route.method} {route.template}" for route in routes()} == set(OPERATIONS)
